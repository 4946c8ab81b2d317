// RUN: lariat-opt %s --split-input-file --verify-diagnostics

// Which ops are row-local. A fill region holds row-local ops and appends only (`recur_c5`), so it tells: what it
// refuses mixes rows, or does not say that it does not.

// tensor.concat in dimension 0 puts rows one after the other.
func.func @refuse_concat_of_rows(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'tensor.concat' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = tensor.concat dim(0) %f, %f
        : (tensor<?x8xf32, #lariat.of<"s">>, tensor<?x8xf32, #lariat.of<"s">>) -> tensor<?x8xf32>
    lariat.end
  }
  return
}

// -----

// An upstream op without the interface counts as mixing rows.
func.func @refuse_unknown(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'tensor.cast' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = tensor.cast %f : tensor<?x8xf32, #lariat.of<"s">> to tensor<?x8xf32>
    lariat.end
  }
  return
}

// -----

// linalg.generic that reduces over rows.
#row = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
func.func @refuse_reduction_over_rows(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index,
                                      %sum: tensor<8xf32>) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'linalg.generic' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = linalg.generic {indexing_maps = [#row, #column], iterator_types = ["reduction", "parallel"]}
        ins(%f : tensor<?x8xf32, #lariat.of<"s">>) outs(%sum : tensor<8xf32>) {
    ^bb0(%u: f32, %v: f32):
      %w = arith.addf %u, %v : f32
      linalg.yield %w : f32
    } -> tensor<8xf32>
    lariat.end
  }
  return
}

// -----

// linalg.generic that reads a row tensor by another dimension.
#ij = affine_map<(d0, d1) -> (d0, d1)>
#j = affine_map<(d0, d1) -> (d1)>
func.func @refuse_rows_in_columns(%all: !lariat.rows<"all">, %x0: tensor<?xf32, #lariat.of<"all">>, %max: index,
                                  %pairs: tensor<?x?xf32>) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'linalg.generic' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = linalg.generic {indexing_maps = [#j, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%f : tensor<?xf32, #lariat.of<"s">>) outs(%pairs : tensor<?x?xf32>) {
    ^bb0(%u: f32, %v: f32):
      linalg.yield %u : f32
    } -> tensor<?x?xf32>
    lariat.end
  }
  return
}

// -----

// linalg.generic that computes with the number of the row.
#map = affine_map<(d0) -> (d0)>
func.func @refuse_row_index(%all: !lariat.rows<"all">, %x0: tensor<?xindex, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?xindex, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?xindex, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'linalg.generic' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]}
        ins(%f : tensor<?xindex, #lariat.of<"s">>) outs(%f : tensor<?xindex, #lariat.of<"s">>) {
    ^bb0(%u: index, %v: index):
      %i = linalg.index 0 : index
      linalg.yield %i : index
    } -> tensor<?xindex, #lariat.of<"s">>
    lariat.end
  }
  return
}

// -----

// A named linalg op does not say which dimension is what, so it is refused; write the generic form.
func.func @refuse_named_linalg(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index,
                               %w: tensor<8x8xf32>) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'linalg.matmul' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = linalg.matmul ins(%f, %w : tensor<?x8xf32, #lariat.of<"s">>, tensor<8x8xf32>)
        outs(%f : tensor<?x8xf32, #lariat.of<"s">>) -> tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  return
}

// -----

// A loop inside hides what it does with its rows.
func.func @refuse_regions(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'scf.execute_region' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = scf.execute_region -> tensor<?x8xf32, #lariat.of<"s">> {
      scf.yield %f : tensor<?x8xf32, #lariat.of<"s">>
    }
    lariat.end
  }
  return
}

// -----

// Attention mixes the rows of a sequence.
func.func @refuse_attention(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'lariat.attention' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = lariat.attention %f, %f, %f at %s heads(1, 1) mask(<full>)
        : tensor<?x8xf32, #lariat.of<"s">>, tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  return
}

// -----

// A selection makes another set, so it is not row-local.
func.func @refuse_select(%all: !lariat.rows<"all">, %x0: tensor<?xi1, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?xi1, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?xi1, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    // expected-error@below {{'lariat.select' op in a fill region, expected row-local ops and 'lariat.append' only}}
    %c = lariat.select %s where %f : !lariat.rows<"s"> to !lariat.rows<"t">
    lariat.end
  }
  return
}

// -----

// Accepted: elementwise arith and math, constants, concat of columns, linalg.generic that is parallel over rows and
// reads them at d0 (also with a reduction of columns and the number of a column), the dialect's own row-local ops,
// facts of a row, takes from outside, append.
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = propagate>)
lariat.weight @w : tensor<8x8xf32> from <"w">
lariat.weight @v : tensor<8xf32> from <"v">
lariat.weight @e : tensor<4x8xf32> from <"e">
#elements = affine_map<(d0, d1) -> (d0, d1)>
#rows = affine_map<(d0, d1) -> (d0)>
#columns = affine_map<(d0, d1) -> (d1)>
func.func @accept(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>,
                  %ids: tensor<?xi32, #lariat.of<"all">>, %max: index, %scales: tensor<8xf32>) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    %c = arith.constant 0.5 : f32
    %t = lariat.spread %c at %s : f32 at !lariat.rows<"s"> to tensor<?x8xf32, #lariat.of<"s">>
    %0 = arith.mulf %f, %t : tensor<?x8xf32, #lariat.of<"s">>
    %1 = math.exp %0 : tensor<?x8xf32, #lariat.of<"s">>
    %2 = arith.cmpf olt, %0, %1 : tensor<?x8xf32, #lariat.of<"s">>
    %3 = arith.select %2, %0, %1 : tensor<?x8xi1, #lariat.of<"s">>, tensor<?x8xf32, #lariat.of<"s">>
    %4 = lariat.concat %3, %f : tensor<?x8xf32, #lariat.of<"s">>, tensor<?x8xf32, #lariat.of<"s">> to
        tensor<?x16xf32, #lariat.of<"s">>
    %5 = linalg.generic {indexing_maps = [#elements, #columns, #elements], iterator_types = ["parallel", "parallel"]}
        ins(%3, %scales : tensor<?x8xf32, #lariat.of<"s">>, tensor<8xf32>) outs(%3 : tensor<?x8xf32, #lariat.of<"s">>) {
    ^bb0(%u: f32, %m: f32, %o: f32):
      %j = linalg.index 1 : index
      %i = arith.index_cast %j : index to i32
      %g = arith.sitofp %i : i32 to f32
      %n = arith.mulf %u, %m : f32
      %p = arith.addf %n, %g : f32
      linalg.yield %p : f32
    } -> tensor<?x8xf32, #lariat.of<"s">>
    %6 = lariat.linear %5, @v : tensor<?x8xf32, #lariat.of<"s">> to tensor<?xf32, #lariat.of<"s">>
    %7 = linalg.generic {indexing_maps = [#elements, #rows], iterator_types = ["parallel", "reduction"]}
        ins(%5 : tensor<?x8xf32, #lariat.of<"s">>) outs(%6 : tensor<?xf32, #lariat.of<"s">>) {
    ^bb0(%u: f32, %o: f32):
      %p = arith.addf %u, %o : f32
      linalg.yield %p : f32
    } -> tensor<?xf32, #lariat.of<"s">>
    %8 = lariat.norm rms %5 weight(@v) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"s">>
    %9 = lariat.rope %8 at %s heads(1) theta(10000.0) : tensor<?x8xf32, #lariat.of<"s">>
    %10 = lariat.row_reduce max %9 : tensor<?x8xf32, #lariat.of<"s">>
    %11 = lariat.argmax %9 : tensor<?x8xf32, #lariat.of<"s">>
    %12 = lariat.depth_of %s : !lariat.rows<"s">
    %13 = lariat.position_of %s : !lariat.rows<"s">
    %14 = lariat.take %ids of %all at %s : tensor<?xi32, #lariat.of<"all">> at !lariat.rows<"s">
    %15 = lariat.embed %14, @e : tensor<?xi32, #lariat.of<"s">> to tensor<?x8xf32, #lariat.of<"s">>
    %16 = lariat.value_of @v : tensor<8xf32>
    %17 = lariat.concat %9, %15 : tensor<?x8xf32, #lariat.of<"s">>, tensor<?x8xf32, #lariat.of<"s">> to
        tensor<?x16xf32, #lariat.of<"s">>
    lariat.append @kv[0] %9, %15 at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  return
}
