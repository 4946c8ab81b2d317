// RUN: lariat-opt %s --lariat-lower-recur --verify-diagnostics

// The active rows change from step to step, so their label cannot stay.
func.func @labelled(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{cannot lower 'lariat.recur' over '!lariat.rows<"all">': row sets still have labels, run lariat-erase-row-sets first}}
  %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

lariat.state @s layers(1) width(4) : f32
func.func @nested_without_bound(%all: !lariat.rows, %x0: tensor<?x4xf32>, %max: index) -> tensor<?x4xf32> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows as %a : !lariat.rows
      carry(%h = %x0 : tensor<?x4xf32>) {
    %y, %inner = lariat.recur max(%max : index) over %a : !lariat.rows as %b : !lariat.rows
        carry(%g = %h : tensor<?x4xf32>) {
      // expected-error@below {{uses memory by depth in a loop inside of another one, whose max is neither constant nor the input 'loops' with a limit}}
      %before = lariat.shift @s[0] %g at %b : tensor<?x4xf32>
      lariat.next keep %b : !lariat.rows carry(%before : tensor<?x4xf32>)
    }
    lariat.next keep %a : !lariat.rows carry(%y : tensor<?x4xf32>)
  }
  return %x : tensor<?x4xf32>
}
