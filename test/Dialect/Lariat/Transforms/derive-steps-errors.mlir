// RUN: lariat-opt %s --lariat-derive-steps --split-input-file --verify-diagnostics

// expected-error@below {{cannot derive step functions: the module has no function @forward}}
module {
}

// -----

// expected-error@below {{cannot derive step functions: the first argument of @forward is not a row set}}
func.func @forward() {
  return
}

// -----

// expected-error@below {{cannot derive step functions: @forward has no loop over depth}}
func.func @forward(%all: !lariat.rows<"all">) {
  return
}

// -----

// The functions take names of their own.
func.func @forward(%all: !lariat.rows<"all">, %max: index) {
  %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}
// expected-error@below {{cannot derive step functions: @forward is split into @prelude, @core, @fill and @coda, but @core exists}}
func.func private @core()

// -----

// Which of two loops would @core be?
func.func @forward(%all: !lariat.rows<"all">, %max: index) {
  // expected-note@below {{the first loop starts here}}
  %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  // expected-error@below {{cannot derive step functions: @forward has 2 loops over depth, expected 1}}
  %s1 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %b : !lariat.rows<"b"> {
    lariat.next keep %b : !lariat.rows<"b">
  }
  return
}

// -----

func.func @forward(%all: !lariat.rows<"all">, %max: index) {
  %zero = arith.constant 0 : index
  // expected-error@below {{cannot derive step functions: 'scf.for' contains the loop over depth}}
  scf.for %i = %zero to %max step %max {
    %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
      lariat.next keep %a : !lariat.rows<"a">
    }
  }
  return
}

// -----

func.func @forward(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{cannot derive step functions: its rows enter at a depth of their own, expected 0}}
  %s0 = lariat.recur max(%max : index) from(%max) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

// A step has rows of any depths; a loop over depth inside it would move them.
func.func @forward(%all: !lariat.rows<"all">, %max: index) {
  // expected-note@below {{the loop starts here}}
  %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    // expected-error@below {{cannot derive step functions: the loop holds another loop over depth}}
    %s1 = lariat.recur max(%max : index) over %a : !lariat.rows<"a"> as %b : !lariat.rows<"b"> {
      lariat.next keep %b : !lariat.rows<"b">
    }
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

// The rows of a step are not those of a sequence at one depth.
func.func @forward(%all: !lariat.rows<"all">, %x0: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?xf32, #lariat.of<"all">>) {
    // expected-note@below {{'lariat-apply-decode-rule' puts a causal rule in its place}}
    // expected-error@below {{cannot derive step functions: 'lariat.top_k' mixes rows}}
    %k = lariat.top_k %h of %a capacity(<[1] over 1>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
    %y = lariat.take %h of %a at %k : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"k">
    lariat.next keep %k : !lariat.rows<"k"> carry(%y : tensor<?xf32, #lariat.of<"k">>)
  }
  return
}

// -----

// An upstream op counts as mixing rows unless it says otherwise.
func.func @forward(%all: !lariat.rows<"all">, %x0: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?xf32, #lariat.of<"all">>) {
    %zero = arith.constant 0 : index
    // expected-error@below {{cannot derive step functions: 'tensor.extract' mixes rows}}
    %f = tensor.extract %h[%zero] : tensor<?xf32, #lariat.of<"a">>
    %y = lariat.spread %f at %a : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?xf32, #lariat.of<"a">>)
  }
  return
}

// -----

// A step has the lines of its own rows only.
func.func @forward(%all: !lariat.rows<"all">, %x0: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?xf32, #lariat.of<"all">>) {
    // expected-error-re@below {{cannot derive step functions: 'lariat.put' uses the outer value of type {{.*}}, expected a 'lariat.take' of it}}
    %p = lariat.put %h of %a into %x0 of %all : tensor<?xf32, #lariat.of<"a">> into tensor<?xf32, #lariat.of<"all">>
    %y = lariat.take %p of %all at %a : tensor<?xf32, #lariat.of<"all">> at !lariat.rows<"a">
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?xf32, #lariat.of<"a">>)
  }
  return
}

// -----

// A scalar of the call would be one value for rows of several requests.
func.func @forward(%all: !lariat.rows<"all">, %max: index, %x0: tensor<?xf32, #lariat.of<"all">>, %f: f32) {
  // expected-error@below {{cannot derive step functions: it uses an outer value of type 'f32', expected row tensors, constants and weights}}
  %x, %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?xf32, #lariat.of<"all">>) {
    %y = lariat.spread %f at %a : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?xf32, #lariat.of<"a">>)
  }
  return
}

// -----

// Nor can the coda have one from before the loop.
func.func @forward(%all: !lariat.rows<"all">, %max: index) -> index {
  %n = lariat.count %all : !lariat.rows<"all">
  %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  // expected-error@below {{cannot derive step functions: it uses a value of type 'index' from before the loop, expected row tensors, constants and weights}}
  return %n : index
}

// -----

// Nor rows that were chosen by looking at others.
func.func @forward(%all: !lariat.rows<"all">, %z: tensor<?xf32, #lariat.of<"all">>, %max: index) -> tensor<?xf32, #lariat.of<"k">> {
  %k = lariat.top_k %z of %all capacity(<[1] over 1>) : tensor<?xf32, #lariat.of<"all">> to !lariat.rows<"k">
  %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  // expected-error@below {{cannot derive step functions: it needs the rows '!lariat.rows<"k">' from before the loop, expected selections}}
  %y = lariat.take %z of %all at %k : tensor<?xf32, #lariat.of<"all">> at !lariat.rows<"k">
  return %y : tensor<?xf32, #lariat.of<"k">>
}

// -----

// A record field is one line per row of the call; of this tensor nobody knows the rows.
func.func @forward(%all: !lariat.rows<"all">, %z: tensor<?xf32, #lariat.of<"z">>, %max: index) -> tensor<?xf32, #lariat.of<"z">> {
  %y = arith.addf %z, %z : tensor<?xf32, #lariat.of<"z">>
  %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  // expected-error-re@below {{cannot derive step functions: it uses a row tensor of type {{.*}}"z"{{.*}} from before the loop, where nothing gives its rows}}
  return %y : tensor<?xf32, #lariat.of<"z">>
}
