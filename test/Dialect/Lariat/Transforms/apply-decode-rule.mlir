// RUN: lariat-opt %s --lariat-apply-decode-rule | FileCheck %s

// The rule decides each row from its own score; a row at depth 0 passes here whatever its score.
// CHECK-LABEL: func.func @rule(
// CHECK-SAME:      %[[rows:.+]]: !lariat.rows<"a">, %[[score:.+]]: tensor<?xf32, #of_a>)
// CHECK:         %[[depth:.+]] = lariat.depth_of %[[rows]]
// CHECK:         %[[zero:.+]] = arith.constant 0 : index
// CHECK:         %[[zeros:.+]] = lariat.spread %[[zero]] at %[[rows]]
// CHECK:         %[[first:.+]] = arith.cmpi eq, %[[depth]], %[[zeros]]
// CHECK:         %[[limit:.+]] = lariat.spread %{{.+}} at %[[rows]]
// CHECK:         %[[pass:.+]] = arith.cmpf oge, %[[score]], %[[limit]]
// CHECK:         %[[go:.+]] = arith.ori %[[first]], %[[pass]]
// CHECK-NOT:     lariat.top_k
// CHECK:         %[[kept:.+]] = lariat.select %[[rows]] where %[[go]] : {{.*}} to {{.*}}<"k">
// CHECK:         return %[[kept]]
func.func @rule(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) -> !lariat.rows<"k"> {
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    %zero = arith.constant 0.0 : f32
    %t = lariat.spread %zero at %r : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
    %pass = arith.cmpf oge, %s, %t : tensor<?xf32, #lariat.of<"a">>
    %go = arith.ori %first, %pass : tensor<?xi1, #lariat.of<"a">>
    lariat.end %go : tensor<?xi1, #lariat.of<"a">>
  }
  return %k : !lariat.rows<"k">
}

// A rule that does not ask for the depth does not compute it.
// CHECK-LABEL: func.func @no_depth(
// CHECK-NOT:     lariat.depth_of
// CHECK:         lariat.select
func.func @no_depth(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) -> !lariat.rows<"k"> {
  %k = lariat.top_k %z of %a capacity(<[1] over 1>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    %go = arith.cmpf oge, %s, %s : tensor<?xf32, #lariat.of<"a">>
    lariat.end %go : tensor<?xi1, #lariat.of<"a">>
  }
  return %k : !lariat.rows<"k">
}

// A rule may decide by a score that it computes itself; counts are for capacities, which no rule has.
// CHECK-LABEL: func.func @other_score(
// CHECK-SAME:      %[[rows:.+]]: !lariat.rows<"a">, %{{.+}}: tensor<?xf32, #of_a>, %[[other:.+]]: tensor<?xf32, #of_a>, %[[counts:[^:]+]]: tensor
// CHECK-NEXT:    %[[turned:.+]] = arith.negf %[[other]]
// CHECK-NEXT:    %[[go:.+]] = arith.cmpf oge, %[[turned]], %[[other]]
// CHECK-NEXT:    lariat.select %[[rows]] where %[[go]]
// CHECK-NOT:     %[[counts]]
func.func @other_score(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>, %y: tensor<?xf32, #lariat.of<"a">>,
                       %c: tensor<?x1xi32, #lariat.of<"a">>) -> !lariat.rows<"k"> {
  %k = lariat.top_k %z of %a capacity(<[1] over 1>) counts(%c : tensor<?x1xi32, #lariat.of<"a">>)
      : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    %turned = arith.negf %y : tensor<?xf32, #lariat.of<"a">>
    %go = arith.cmpf oge, %turned, %y : tensor<?xf32, #lariat.of<"a">>
    lariat.end %go : tensor<?xi1, #lariat.of<"a">>
  }
  return %k : !lariat.rows<"k">
}
