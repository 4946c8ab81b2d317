// RUN: lariat-opt %s --lariat-verify-states --split-input-file --verify-diagnostics

// A layer for each op; one layer in two branches, or at two depths.
lariat.state @s layers(2) width(4) : f32
func.func @apart(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>, %bit: i1) -> tensor<?x4xf32, #lariat.of<"a">> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %first = lariat.advance %a to %zero : !lariat.rows<"a">
  %second = lariat.advance %a to %one : !lariat.rows<"a">
  %y = lariat.shift @s[0] %x at %first : tensor<?x4xf32, #lariat.of<"a">>
  %z = lariat.shift @s[0] %y at %second : tensor<?x4xf32, #lariat.of<"a">>
  %w = scf.if %bit -> tensor<?x4xf32, #lariat.of<"a">> {
    %one_way = lariat.shift @s[1] %z at %a : tensor<?x4xf32, #lariat.of<"a">>
    scf.yield %one_way : tensor<?x4xf32, #lariat.of<"a">>
  } else {
    %other_way = lariat.scan @s[1] %z, %z at %a : tensor<?x4xf32, #lariat.of<"a">>
    scf.yield %other_way : tensor<?x4xf32, #lariat.of<"a">>
  }
  return %w : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

lariat.state @s layers(1) width(4) : f32
func.func @twice(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  // expected-note@below {{the other op is here}}
  %y = lariat.shift @s[0] %x at %a : tensor<?x4xf32, #lariat.of<"a">>
  // expected-error@below {{uses layer 0 of @s, which another op uses: give each a layer of its own}}
  %z = lariat.scan @s[0] %y, %y at %a : tensor<?x4xf32, #lariat.of<"a">>
  return %z : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

lariat.state @s layers(1) width(4) : f32
func.func @in_a_loop(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>, %n: index) -> tensor<?x4xf32, #lariat.of<"a">> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  // expected-note@below {{the loop starts here}}
  %y = scf.for %i = %zero to %n step %one iter_args(%h = %x) -> (tensor<?x4xf32, #lariat.of<"a">>) {
    // expected-error@below {{uses layer 0 of @s in a loop that is not over depth, whose steps would share it}}
    %next = lariat.shift @s[0] %h at %a : tensor<?x4xf32, #lariat.of<"a">>
    scf.yield %next : tensor<?x4xf32, #lariat.of<"a">>
  }
  return %y : tensor<?x4xf32, #lariat.of<"a">>
}
