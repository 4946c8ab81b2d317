// RUN: lariat-opt %s --lariat-rotate-router --remarks-filter=lariat-rotate-router --remark-format=emitRemark 2>&1 | FileCheck %s

// A loop without a router stays as it is.
// CHECK: remark: {{.*}}not rotated: each step keeps all of its rows
func.func @keep_all(%all: !lariat.rows<"all">, %max: index) {
  %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// So does one that stops rows: a row has one stop bit.
// CHECK: remark: {{.*}}not rotated: the loop already stops rows
func.func @keep_stop(%all: !lariat.rows<"all">, %max: index, %b0: tensor<?xi1, #lariat.of<"all">>) {
  %b, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%s = %b0 : tensor<?xi1, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%s : tensor<?xi1, #lariat.of<"a">>) stop(%s)
  }
  return
}

// And one whose rows are compared with each other.
// CHECK: remark: {{.*}}not rotated: the router mixes rows
func.func @keep_top_k(%all: !lariat.rows<"all">, %max: index, %z0: tensor<?xf32, #lariat.of<"all">>) {
  %z, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%s = %z0 : tensor<?xf32, #lariat.of<"all">>) {
    %k = lariat.top_k %s of %a capacity(<[1] over 1>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
    %y = lariat.take %s of %a at %k : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"k">
    lariat.next keep %k : !lariat.rows<"k"> carry(%y : tensor<?xf32, #lariat.of<"k">>)
  }
  return
}

// And one whose fill region would begin to fill a depth earlier.
// CHECK: remark: {{.*}}not rotated: the fill region would run one depth earlier
func.func @keep_fill(%all: !lariat.rows<"all">, %max: index, %b0: tensor<?xi1, #lariat.of<"all">>) {
  %b, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%s = %b0 : tensor<?xi1, #lariat.of<"all">>) {
    %k = lariat.select %a where %s : !lariat.rows<"a"> to !lariat.rows<"k">
    %y = lariat.take %s of %a at %k : tensor<?xi1, #lariat.of<"a">> at !lariat.rows<"k">
    lariat.next keep %k : !lariat.rows<"k"> carry(%y : tensor<?xi1, #lariat.of<"k">>)
  } fill(%f : !lariat.rows<"s">, %c) {
    lariat.end
  }
  return
}

// And one whose block also sees rows that the router turned down.
// CHECK: remark: {{.*}}not rotated: 'lariat.append' uses rows of the step that the router did not choose
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip>)
func.func @keep_early_use(%all: !lariat.rows<"all">, %max: index, %x0: tensor<?x8xf32, #lariat.of<"all">>,
                          %bits: tensor<?xi1, #lariat.of<"all">>) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    %go = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    %k = lariat.select %a where %go : !lariat.rows<"a"> to !lariat.rows<"k">
    %y = lariat.take %h of %a at %k : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"k">
    lariat.next keep %k : !lariat.rows<"k"> carry(%y : tensor<?x8xf32, #lariat.of<"k">>)
  }
  return
}
