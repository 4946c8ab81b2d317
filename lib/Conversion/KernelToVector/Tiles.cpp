// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Microkernels: a tile of sums stays in registers over all of K. Vectors are as wide as the CPU's, since the order of
// loads and fma decides whether registers suffice: the smaller of rows and vectors of columns is held, the other one
// streams. LLVM keeps that order. Blocking of K and more unrolling were measured and lost.

#include "Tiles.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

namespace {

/// Rows and panels whose sums are in registers at once.
struct Tile {
  int64_t rows, panels;
};

/// Of what a product is.
struct Variant {
  const PanelLoader &loader;
  int64_t panelsPerLine;
  bool isStreamed, isAdded;

  explicit Variant(const Product &product)
      : loader(*product.loader), panelsPerLine(product.panelsPerLine), isStreamed(product.isStreamed),
        isAdded(product.isAdded) {}
  std::string getName() const {
    std::string width = panelsPerLine == 1 ? "" : "_" + std::to_string(kLanes * panelsPerLine);
    return (loader.getName() + width + (isStreamed ? "_streamed" : "") + (isAdded ? "_added" : "")).str();
  }
};

/// Writes the body of a tile function.
class TileWriter : public CodeWriter {
public:
  TileWriter(KernelEmitter &emitter, OpBuilder builder, func::FuncOp function, Variant variant, Tile tile)
      : CodeWriter(emitter, std::move(builder), function.getLoc()), variant(variant), loader(variant.loader),
        stepsPerLine(loader.getStepsPerLine()), tile(tile), lanes(emitter.getTarget().vectorBits / 32),
        numVectors(tile.panels * kLanes / lanes), aLine(function.getArgument(1)), bLine(function.getArgument(3)),
        bPanel(function.getArgument(4)), numK(function.getArgument(5)), c(function.getArgument(6)),
        cLine(function.getArgument(7)), aheadStep(function.getArgument(9)) {
    for (int64_t row = 0; row < tile.rows; ++row)
      rows.push_back(ptrAdd(function.getArgument(0), multiply(aLine, row)));
    for (int64_t panel = 0; panel < tile.panels; ++panel) {
      panels.push_back(getPanel(function.getArgument(2), panel));
      aheadPanels.push_back(getPanel(function.getArgument(8), panel));
    }
  }

  void write() {
    Values sums;
    forSums([&](Value place) {
      VectorType type = vectorOf(b.getF32Type(), lanes);
      sums.push_back(variant.isAdded ? load(type, place) : constantFloat(0, type));
    });
    assert(stepsPerLine <= 2 && "the last line holds one step or all");
    int64_t step = stepsPerLine > 1 ? stepsPerLine : getUnroll();
    Value whole = multiply(divide(numK, step), step);
    sums = forLoop(constantI64(0), whole, constantI64(step), sums, [&](Value k, ValueRange before) {
      Values after(before);
      if (stepsPerLine > 1) {
        prefetch(divide(k, stepsPerLine), /*numLines=*/1);
        if (tile.rows == 1 && loader.takesWholeLines(emitter.getTarget().tuning))
          writeWholeLine(k, after);
        else
          writeLine(k, stepsPerLine, after);
      } else if (tile.rows == 1) {
        writeStreams(k, step, after);
      } else {
        prefetch(k, step);
        for (int64_t i = 0; i < step; ++i)
          writeLine(add(k, i), /*numSteps=*/1, after);
      }
      return after;
    });
    if (step > 1)
      sums = forLoop(whole, numK, constantI64(1), sums, [&](Value k, ValueRange before) {
        Values after(before);
        writeLine(k, /*numSteps=*/1, after);
        return after;
      });
    auto sum = sums.begin();
    forSums([&](Value place) { store(*sum++, place); });
  }

private:
  /// The address of a panel of the tile. `first` is that of the first one, which begins a line where more than one follow.
  Value getPanel(Value first, int64_t panel) {
    int64_t perLine = variant.panelsPerLine;
    return ptrAdd(ptrAdd(first, multiply(bPanel, panel / perLine)), panel % perLine * kLanes * loader.getWordBytes(b));
  }

  /// `body` with the place in C of each sum, row by row.
  void forSums(llvm::function_ref<void(Value)> body) {
    for (int64_t row = 0; row < tile.rows; ++row) {
      Value line = ptrAdd(c, multiply(cLine, row));
      for (int64_t j = 0; j < numVectors; ++j)
        body(ptrAdd(line, 4 * j * lanes));
    }
  }

  /// Small tiles go over several k at once, or counting takes as long as computing.
  int64_t getUnroll() const {
    const CPUTuning &tuning = emitter.getTarget().tuning;
    return tile.rows * numVectors <= tuning.unrolledSums ? tuning.unrolledSteps : 1;
  }

  /// Tiles of few rows wait for memory as it is; more requests would only get in its way. What is added to other sums is
  /// read in between them.
  bool isAhead() const {
    const CPUTuning &tuning = emitter.getTarget().tuning;
    return tile.rows >= (variant.isAdded ? tuning.pairTilePrefetchRows : loader.getTilePrefetchRows(tuning));
  }

  /// Asks for what the next panels need, into the second cache: for as much as `numLines` lines from `line` stand for.
  void prefetch(Value line, int64_t numLines) {
    if (!isAhead())
      return;
    int64_t numRuns = getNumRuns(emitter.getTarget(), variant.isStreamed);
    Value runBytes = multiply(divide(bPanel, 64 * numRuns), 64);
    auto ask = [&](Value run, Value lineOfRun) {
      Value place = add(multiply(runBytes, run), multiply(lineOfRun, aheadStep));
      for (Value panel : aheadPanels)
        LLVM::Prefetch::create(b, loc, ptrAdd(panel, place), /*rw=*/0, /*hint=*/2, /*cache=*/1);
    };
    auto askRuns = [&](Value lineOfRun) {
      for (int64_t run = 0; run < numRuns; ++run)
        ask(constantI64(run), lineOfRun);
    };
    if (numRuns > numLines) {
      // Computing which run's turn it is takes too long beside a single step, and little beside two.
      if (stepsPerLine == 1)
        ifThen(equal(bitAnd(line, constantI64(numRuns - 1)), constantI64(0)), [&] { askRuns(divide(line, numRuns)); });
      else
        ask(bitAnd(line, constantI64(numRuns - 1)), divide(line, numRuns));
      return;
    }
    // Tiles that go over several lines at once have few rows. Unless they add to sums, they come in twos at least: half of
    // the lines will do.
    for (int64_t i = 0; i < numLines; i += numRuns == 1 && !variant.isAdded ? 2 : numRuns)
      askRuns(divide(add(line, i), numRuns));
  }

  Value loadA(int64_t row, Value k) {
    Value scalar = load(b.getF32Type(), ptrAdd(rows[row], multiply(k, 4)));
    return vector::BroadcastOp::create(b, loc, vectorOf(b.getF32Type(), lanes), scalar);
  }

  /// Words of vector j of columns with step `step` of a line of B.
  Value loadWords(int64_t j, Value line, int64_t step, bool isVolatile = false) {
    int64_t perPanel = kLanes / lanes;
    Value columns =
        ptrAdd(ptrAdd(panels[j / perPanel], multiply(line, bLine)), j % perPanel * lanes * loader.getWordBytes(b));
    return loader.loadWords(*this, ptrAdd(columns, loader.getWordOffset(b, step, kLanes * variant.panelsPerLine)),
                            lanes, isVolatile);
  }

  /// Words of several steps are loaded for each rather than held; `volatile` keeps LLVM from seeing that it is the same
  /// load.
  Value loadB(int64_t j, Value line, int64_t step) {
    bool isAgain = step % loader.getStepsPerWord() != 0;
    return loader.widen(*this, loadWords(j, line, step, isAgain), step);
  }

  Value getStep(Value k, int64_t step) { return step ? add(k, step) : k; }
  Value getLine(Value k) { return stepsPerLine > 1 ? divide(k, stepsPerLine) : k; }

  /// The first `numSteps` steps of the line that begins with step k.
  void writeLine(Value k, int64_t numSteps, Values &sums) {
    Value line = getLine(k);
    for (int64_t step = 0; step < numSteps; ++step)
      multiplyAdd(getStep(k, step), sums, [&](int64_t j) { return loadB(j, line, step); });
  }

  /// One row: some steps with one panel, then with the next, since memory is read faster in runs.
  void writeStreams(Value k, int64_t steps, Values &sums) {
    Values xs;
    for (int64_t i = 0; i < steps; ++i)
      xs.push_back(loadA(0, add(k, i)));
    int64_t perPanel = kLanes / lanes;
    for (int64_t panel = 0; panel < tile.panels; ++panel)
      for (int64_t i = 0; i < steps; ++i)
        for (int64_t j = panel * perPanel; j < (panel + 1) * perPanel; ++j)
          addTo(sums, 0, j, xs[i], loadB(j, add(k, i), /*step=*/0));
  }

  /// One row, all steps of a sum after each other, while their words are in a register. Several rows have none to spare.
  void writeWholeLine(Value k, Values &sums) {
    Values xs;
    for (int64_t step = 0; step < stepsPerLine; ++step)
      xs.push_back(loadA(0, getStep(k, step)));
    Value line = getLine(k), words;
    for (int64_t j = 0; j < numVectors; ++j)
      for (int64_t step = 0; step < stepsPerLine; ++step) {
        if (step % loader.getStepsPerWord() == 0)
          words = loadWords(j, line, step);
        addTo(sums, 0, j, xs[step], loader.widen(*this, words, step));
      }
  }

  void addTo(Values &sums, int64_t row, int64_t j, Value x, Value y) {
    Value &sum = sums[row * numVectors + j];
    sum = math::FmaOp::create(b, loc, x, y, sum);
  }

  void multiplyAdd(Value k, Values &sums, llvm::function_ref<Value(int64_t)> getB) {
    Values held;
    if (tile.rows <= numVectors) {
      for (int64_t row = 0; row < tile.rows; ++row)
        held.push_back(loadA(row, k));
      for (int64_t j = 0; j < numVectors; ++j) {
        Value streamed = getB(j);
        for (int64_t row = 0; row < tile.rows; ++row)
          addTo(sums, row, j, held[row], streamed);
      }
      return;
    }
    for (int64_t j = 0; j < numVectors; ++j)
      held.push_back(getB(j));
    for (int64_t row = 0; row < tile.rows; ++row) {
      Value streamed = loadA(row, k);
      for (int64_t j = 0; j < numVectors; ++j)
        addTo(sums, row, j, streamed, held[j]);
    }
  }

  Variant variant;
  const PanelLoader &loader;
  int64_t stepsPerLine;
  Tile tile;
  int64_t lanes, numVectors;
  Value aLine, bLine, bPanel, numK, c, cLine, aheadStep;
  Values rows, panels, aheadPanels;
};

} // namespace

/// tile_KIND_RxP(a, aLine, b, bLine, bPanel, numK, c, cLine, ahead, aheadStep).
static func::FuncOp getTile(KernelEmitter &emitter, Variant variant, Tile tile) {
  MLIRContext *context = emitter.getModule().getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = IntegerType::get(context, 64);
  std::string name = ("tile_" + variant.getName() + "_" + Twine(tile.rows) + "x" + Twine(tile.panels)).str();
  return emitter.getFunction(
      name, FunctionType::get(context, {pointer, i64, pointer, i64, i64, i64, pointer, i64, pointer, i64}, {}),
      [&](OpBuilder &b, func::FuncOp function) { TileWriter(emitter, b, function, variant, tile).write(); });
}

/// The address of panel `panel` of a matrix.
static Value getPanel(CodeWriter &w, Value matrix, Value bPanel, Value panel, const Variant &variant) {
  int64_t perLine = variant.panelsPerLine;
  if (perLine == 1)
    return w.ptrAdd(matrix, w.multiply(panel, bPanel));
  Value line = w.ptrAdd(matrix, w.multiply(w.divide(panel, perLine), bPanel));
  return w.ptrAdd(line,
                  w.multiply(w.remainder(panel, w.constantI64(perLine)), kLanes * variant.loader.getWordBytes(w.b)));
}

/// Panels that a tile of so many rows takes: all side by side, or some of those. So tiles that follow each other, by whole
/// ones and then by falling powers of two, begin where the panels of a line do or end in the same line.
static int64_t getTilePanels(const CPUTarget &target, const Variant &variant, int64_t rows) {
  int64_t panels = variant.loader.getTilePanels(target, rows), perLine = variant.panelsPerLine;
  return panels < perLine ? llvm::bit_floor<uint64_t>(panels) : panels / perLine * perLine;
}

/// Panels by tiles of `rows` rows: as wide as registers allow, then what is left by powers of two.
static void writePanels(CodeWriter &w, func::FuncOp function, Variant variant, int64_t rows) {
  auto argument = [&](unsigned i) { return function.getArgument(i); };
  Value numPanels = argument(1), aLine = argument(3), bPanel = argument(6);
  auto callTile = [&](int64_t panels, Value first) {
    Value b = getPanel(w, argument(4), bPanel, first, variant), c = w.ptrAdd(argument(8), w.multiply(first, 64));
    w.call(getTile(w.emitter, variant, {rows, panels}),
           {argument(2), aLine, b, argument(5), bPanel, argument(7), c, argument(9),
            getPanel(w, argument(10), bPanel, first, variant), argument(11)});
  };
  int64_t most = getTilePanels(w.emitter.getTarget(), variant, rows);
  Value whole = w.multiply(w.divide(numPanels, most), most), rest = w.subtract(numPanels, whole);
  w.forLoop(w.constantI64(0), whole, w.constantI64(most), [&](Value first) { callTile(most, first); });
  for (int64_t panels = llvm::bit_floor<uint64_t>(most - 1); panels; panels /= 2) {
    // The larger powers in `rest` come first.
    Value isIn = w.compare(arith::CmpIPredicate::ne, w.bitAnd(rest, w.constantI64(panels)), w.constantI64(0));
    Value before = w.bitAnd(rest, w.constantI64(~(2 * panels - 1)));
    w.ifThen(isIn, [&] { callTile(panels, w.add(whole, before)); });
  }
}

void vectors::writeProduct(CodeWriter &w, const Product &product) {
  KernelEmitter &emitter = w.emitter;
  Type pointer = w.pointer(), i64 = w.b.getI64Type();
  auto type = FunctionType::get(w.b.getContext(),
                                {i64, i64, pointer, i64, pointer, i64, i64, i64, pointer, i64, pointer, i64}, {});
  Variant variant(product);
  func::FuncOp function =
      emitter.getFunction("product_" + variant.getName(), type, [&](OpBuilder &b, func::FuncOp function) {
        CodeWriter inner(emitter, b, function.getLoc());
        auto rows = llvm::to_vector(llvm::seq_inclusive<int64_t>(1, emitter.getTarget().getMaxRows()));
        inner.switchOn(function.getArgument(0), rows,
                       [&](int64_t count) { writePanels(inner, function, variant, count); });
      });
  Value ahead = product.ahead ? product.ahead : product.b,
        aheadStep = product.aheadStep ? product.aheadStep : w.constantI64(0);
  w.call(function, {product.rows, product.numPanels, product.a, product.aLine, product.b, product.bLine, product.bPanel,
                    product.numK, product.c, product.cLine, ahead, aheadStep});
}
