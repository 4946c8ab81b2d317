// RUN: lariat-opt %s --kernel-outline-generic --verify-diagnostics

// expected-error @+1 {{a symbol has the name 'generic', which is kept for bodies of kernel.generic}}
func.func private @generic()
