// RUN: lariat-opt %s --lariat-lower-recur --verify-diagnostics

// The active rows change from step to step, so their label cannot stay.
func.func @labelled(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{cannot lower 'lariat.recur' over '!lariat.rows<"all">': row sets still have labels, run lariat-erase-row-sets first}}
  %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}
