// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What passes and lowerings ask of an op of the kernel level, so that none of them lists ops, and of a format of
// panels. What an op reads and writes are its memory effects: of buffers on its operands, of caches on their symbol
// (kernel::CacheEntries, kernel::CacheIndex).

#ifndef LARIAT_KERNEL_INTERFACES_TD
#define LARIAT_KERNEL_INTERFACES_TD

include "mlir/IR/OpBase.td"

def ParallelKernelInterface : OpInterface<"ParallelKernelInterface"> {
  let cppNamespace = "::lariat::kernel";
  let description = "A kernel that all threads of a parallel region run together.";
  let methods = [
    InterfaceMethod<"Data of weights.bin that the kernel reads, by name, in the order of its record.",
      "::llvm::SmallVector<::mlir::FlatSymbolRefAttr>", "getPackedOperands", (ins), "", "return {};">,
    InterfaceMethod<"Those of the packed operands that it reads from end to end, however few its rows are.",
      "::llvm::SmallVector<::mlir::FlatSymbolRefAttr>", "getFullyReadOperands", (ins), "", "return {};">,
    InterfaceMethod<"The rotary table that it reads; null for none.", "::mlir::FlatSymbolRefAttr", "getRotaryTable",
      (ins), "", "return {};">,
    InterfaceMethod<[{
      Its literal attributes: what they say stands in the record of a kernel, so that kernels which differ in them alone
      share a function. All other attributes belong to the function.
    }], "::llvm::SmallVector<::mlir::StringAttr>", "getLiteralAttributes", (ins), "", "return {};">
  ];
}

def StoredDataOpInterface : OpInterface<"StoredDataOpInterface"> {
  let cppNamespace = "::lariat::kernel";
  let description = "A declaration of data that lies in weights.bin.";
  let methods = [
    InterfaceMethod<"The byte at which it begins; nothing before it is planned.", "::std::optional<int64_t>",
                    "getPlace">
  ];
}

def RowServiceOpInterface : OpInterface<"RowServiceOpInterface"> {
  let cppNamespace = "::lariat::kernel";
  let description = [{
    An op that the calling thread has a service of the runtime do (abi::Services). Its result, if it has one, is the
    number that the service returns.
  }];
  let methods = [
    InterfaceMethod<"Where the service stands in abi::Services, in bytes.", "int64_t", "getServiceOffset">,
    InterfaceMethod<[{
      What the service gets, in order, after the call: of a buffer its address, of an index or an integer attribute the
      number, for nothing a null address.
    }], "::llvm::SmallVector<::mlir::OpFoldResult>", "getServiceArguments">
  ];
}

def Kernel_PanelFormatAttrInterface : AttrInterface<"PanelFormatAttrInterface"> {
  let cppNamespace = "::lariat::kernel";
  let description = [{
    How the weights (N, K) of products lie in weights.bin: panels of so many rows of the weight, the columns of the
    product, one after the other; a panel is lines of four bytes per column, which hold some steps of k. How many
    columns panels have is no part of a format but of a layout. A new format is a new attribute with this interface, a
    packer in lib/Compiler/Packing, and a loader in each target; nothing else lists formats.
  }];
  let methods = [
    InterfaceMethod<"Steps of k in a line.", "int64_t", "getStepsPerLine">,
    InterfaceMethod<"Lines of a panel.", "int64_t", "getNumLines", (ins "int64_t":$numK), [{}], [{
      return (numK + $_attr.getStepsPerLine() - 1) / $_attr.getStepsPerLine();
    }]>,
    InterfaceMethod<"Bytes of a panel, and of what belongs to it alone.", "int64_t", "getPanelBytes",
                    (ins "int64_t":$numK, "int64_t":$columns), [{}], [{
      return $_attr.getNumLines(numK) * columns * kPanelColumnBytes;
    }]>
  ];
}

#endif // LARIAT_KERNEL_INTERFACES_TD
