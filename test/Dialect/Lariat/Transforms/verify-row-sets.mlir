// RUN: lariat-opt %s --lariat-verify-row-sets | FileCheck %s

// Rows of a step are rows of the set that entered; `advance` keeps a label, and so does an argument of an upstream loop.
// CHECK-LABEL: func.func @valid(
// CHECK:         lariat.recur
func.func @valid(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %m: tensor<?xi1, #lariat.of<"all">>, %max: index)
    -> tensor<?x8xf32, #lariat.of<"all">> {
  %e = lariat.select %all where %m : !lariat.rows<"all"> to !lariat.rows<"e">
  %later = lariat.advance %e : !lariat.rows<"e">
  %xe = lariat.take %x0 of %all at %later : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"e">
  %x, %steps = lariat.recur max(%max : index) over %e : !lariat.rows<"e"> as %a : !lariat.rows<"a">
      carry(%h = %xe : tensor<?x8xf32, #lariat.of<"e">>) {
    %y = lariat.take %x0 of %all at %a : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"a">
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x8xf32, #lariat.of<"a">>)
  }
  %zero = arith.constant 0 : index
  %moved = scf.for %i = %zero to %max step %max iter_args(%r = %e) -> !lariat.rows<"e"> {
    %n = lariat.advance %r : !lariat.rows<"e">
    scf.yield %n : !lariat.rows<"e">
  }
  %out = lariat.put %x of %moved into %x0 of %all : tensor<?x8xf32, #lariat.of<"e">> into tensor<?x8xf32, #lariat.of<"all">>
  return %out : tensor<?x8xf32, #lariat.of<"all">>
}
