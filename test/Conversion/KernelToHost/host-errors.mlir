// RUN: lariat-opt %s --split-input-file --convert-kernel-to-llvm --verify-diagnostics
// RUN: not lariat-opt %s --convert-kernel-to-llvm=target=z80 --split-input-file 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: target is 'z80', which is not in the table of targets

func.func @unplanned() {
  // expected-error @+1 {{a buffer has no place in the arena: run kernel-plan-arena first}}
  %x = kernel.buffer : memref<?x16xf32>
  return
}

// -----

// expected-error @+1 {{an entry function of the kernel level has no arguments or results, 'arguments' has}}
func.func @arguments(%n: index) {
  return
}

// -----

// expected-error @+1 {{entry function 'ports' has 254 inputs and outputs, expected at most 253, which records of kernels can name}}
func.func @ports() {
  %n = kernel.port_rows 253
  return
}

// -----

func.func @outside() {
  %n = kernel.port_rows 0
  %x = kernel.port 0 : memref<?x16xf32>
  // expected-error @+1 {{'kernel.rowwise' has no host code outside kernel.parallel}}
  kernel.rowwise rows(%n) width(16) ins(%x : memref<?x16xf32>) vectors [] outs(%x : memref<?x16xf32>)
      gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  return
}

// -----

func.func @state() {
  %n = kernel.port_rows 0
  // expected-error @+1 {{a kernel reads or writes memory that is neither of the arena nor of a port}}
  %x = kernel.state_memory 0 : memref<?x16xf32>
  kernel.parallel {
    kernel.rowwise rows(%n) width(16) ins(%x : memref<?x16xf32>) vectors [] outs(%x : memref<?x16xf32>)
        gather [-1] scatter [-1] {
    ^bb0(%e: f32):
      kernel.yield %e : f32
    }
  }
  return
}

// -----

func.func @service() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %s = kernel.buffer offset(0) : memref<?xindex>
  %e = kernel.buffer offset(64) : memref<?x2xindex>
  // expected-error @+1 {{'kernel.reserve' op names @kv, which the module does not have}}
  kernel.reserve rows(%n) at %t slots %s of @kv filled false to %e : memref<?x6xindex>, memref<?xindex>, memref<?x2xindex>
  return
}

// -----

func.func @cache() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %x = kernel.port 1 : memref<?x16xf32>
  %e = kernel.buffer offset(64) : memref<?x2xindex>
  kernel.parallel {
    // expected-error @+1 {{'kernel.append' op names @kv, which the module does not have}}
    kernel.append rows(%n) at %t entries %e %x, %x into @kv[0]
        : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
  }
  return
}

// -----

func.func private @body(tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
func.func @packed() {
  %n = kernel.port_rows 0
  %x = kernel.port 0 : memref<?x16xf32>
  // expected-error @+1 {{'kernel.generic' op names @v, which is no packed data of the module}}
  %m = kernel.generic @body ins(%x : memref<?x16xf32>) rows(%n) packed [@v] outs(%x : memref<?x16xf32>) : index
  return
}

// -----

// A target has code for the orders of summation that it declares, and for no other.
kernel.cache @kv number(0) layers(1) heads(1) dim(16) : f32
func.func @order() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %v = kernel.port 1 : memref<?x4xindex>
  %x = kernel.port 2 : memref<?x16xf32>
  kernel.parallel {
    // expected-error @+1 {{'kernel.attend' op declares #kernel.sum<segments, size = 32>, which target 'avx2' does not form}}
    kernel.attend rows(%n) at %t views %v %x to %x from @kv[0] heads(1) scale(0.25) <causal> sum(<segments, size = 32>)
        : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
  }
  return
}
