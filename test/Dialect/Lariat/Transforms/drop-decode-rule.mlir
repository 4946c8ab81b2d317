// RUN: lariat-opt %s --lariat-drop-decode-rule | FileCheck %s
// RUN: lariat-opt %s --lariat-drop-decode-rule --canonicalize | FileCheck %s --check-prefix=CLEAN

lariat.weight @predictor : tensor<4xf32> value dense<1.0> : tensor<4xf32>

// Scoring keeps the largest scores by capacity, or by the counts that a caller gives, whatever the rule would say.
// CHECK-LABEL: func.func @own_score(
// CHECK-SAME:      %[[rows:.+]]: !lariat.rows<"a">, %[[score:.+]]: tensor<?xf32, #of_a>, %[[counts:.+]]: tensor<?x2xi32, #of_a>)
// CHECK-NEXT:    %[[kept:.+]] = lariat.top_k %[[score]] of %[[rows]] capacity(<[2, 1] over 2>) counts(%[[counts]] : {{.*}}) : {{.*}} to {{.*}}<"k">
// CHECK-NEXT:    return %[[kept]]
func.func @own_score(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>, %c: tensor<?x2xi32, #lariat.of<"a">>)
    -> !lariat.rows<"k"> {
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 2>) counts(%c : tensor<?x2xi32, #lariat.of<"a">>)
      : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    lariat.end %first : tensor<?xi1, #lariat.of<"a">>
  }
  return %k : !lariat.rows<"k">
}

// What only the rule reads goes with it.
// CLEAN-LABEL: func.func @predictor_of_its_own(
// CLEAN-NOT:     lariat.linear
// CLEAN-NOT:     arith.negf
// CLEAN:         lariat.top_k
func.func @predictor_of_its_own(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>,
                                %z: tensor<?xf32, #lariat.of<"a">>) -> !lariat.rows<"k"> {
  %turned = arith.negf %x : tensor<?x4xf32, #lariat.of<"a">>
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    %p = lariat.linear %turned, @predictor : tensor<?x4xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">>
    %go = arith.cmpf ogt, %p, %s : tensor<?xf32, #lariat.of<"a">>
    lariat.end %go : tensor<?xi1, #lariat.of<"a">>
  }
  return %k : !lariat.rows<"k">
}
