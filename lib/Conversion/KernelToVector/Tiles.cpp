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

/// Compile-time variant of a product's microkernel.
struct ProductVariant {
  const PanelLoader &loader;
  int64_t panelsPerLine;
  bool isStreamed, accumulates;

  explicit ProductVariant(const Product &product)
      : loader(*product.loader), panelsPerLine(product.panelsPerLine), isStreamed(product.isStreamed),
        accumulates(product.accumulates) {}
  std::string getName() const {
    std::string width = panelsPerLine == 1 ? "" : "_" + std::to_string(kLanes * panelsPerLine);
    return (loader.getName() + width + (isStreamed ? "_streamed" : "") + (accumulates ? "_accumulating" : "")).str();
  }
};

/// Writes the body of a tile function.
class TileWriter : public CodeWriter {
public:
  TileWriter(KernelEmitter &emitter, OpBuilder builder, func::FuncOp function, ProductVariant variant, Tile tile)
      : CodeWriter(emitter, std::move(builder), function.getLoc()), variant(variant), loader(variant.loader),
        stepsPerLine(loader.getStepsPerLine()), tile(tile), lanes(emitter.getTarget().vectorBits / 32),
        numVectors(tile.panels * kLanes / lanes), aRowStride(function.getArgument(1)),
        bStepStride(function.getArgument(3)), bPanelStride(function.getArgument(4)), numK(function.getArgument(5)),
        c(function.getArgument(6)), cRowStride(function.getArgument(7)), prefetchStride(function.getArgument(9)) {
    for (int64_t row = 0; row < tile.rows; ++row)
      rows.push_back(ptrAdd(function.getArgument(0), multiply(aRowStride, row)));
    for (int64_t panel = 0; panel < tile.panels; ++panel) {
      panels.push_back(getPanel(function.getArgument(2), panel));
      prefetchPanels.push_back(getPanel(function.getArgument(8), panel));
    }
  }

  void write() {
    Values sums;
    forSums([&](Value place) {
      VectorType type = vectorOf(b.getF32Type(), lanes);
      sums.push_back(variant.accumulates ? load(type, place) : constantFloat(0, type));
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
  /// The address of a panel of the tile. `first` is that of the first one, which begins a line where more than one
  /// follow.
  Value getPanel(Value first, int64_t panel) {
    int64_t perLine = variant.panelsPerLine;
    return ptrAdd(ptrAdd(first, multiply(bPanelStride, panel / perLine)),
                  panel % perLine * kLanes * loader.getWordBytes(b));
  }

  /// `body` with the place in C of each sum, row by row.
  void forSums(llvm::function_ref<void(Value)> body) {
    for (int64_t row = 0; row < tile.rows; ++row) {
      Value line = ptrAdd(c, multiply(cRowStride, row));
      for (int64_t j = 0; j < numVectors; ++j)
        body(ptrAdd(line, 4 * j * lanes));
    }
  }

  /// Small tiles go over several k at once, or counting takes as long as computing.
  int64_t getUnroll() const {
    const CPUTuning &tuning = emitter.getTarget().tuning;
    return tile.rows * numVectors <= tuning.unrolledSums ? tuning.unrolledSteps : 1;
  }

  /// Whether a tile has enough arithmetic to hide prefetches. With fewer rows it waits for memory as it is; what
  /// accumulates is read between products that do.
  bool prefetches() const {
    const CPUTuning &tuning = emitter.getTarget().tuning;
    return tile.rows >= (variant.accumulates ? tuning.pairTilePrefetchRows : loader.getTilePrefetchRows(tuning));
  }

  /// Prefetches the next panels into the second cache: as much of them as `numLines` lines from `line` stand for.
  void prefetch(Value line, int64_t numLines) {
    if (!prefetches())
      return;
    int64_t numStreams = getNumStreams(emitter.getTarget(), variant.isStreamed);
    Value streamBytes = multiply(divide(bPanelStride, 64 * numStreams), 64);
    auto prefetchLine = [&](Value stream, Value lineOfStream) {
      Value place = add(multiply(streamBytes, stream), multiply(lineOfStream, prefetchStride));
      for (Value panel : prefetchPanels)
        LLVM::Prefetch::create(b, loc, ptrAdd(panel, place), /*rw=*/0, /*hint=*/2, /*cache=*/1);
    };
    auto prefetchStreams = [&](Value lineOfStream) {
      for (int64_t stream = 0; stream < numStreams; ++stream)
        prefetchLine(constantI64(stream), lineOfStream);
    };
    if (numStreams > numLines) {
      // Computing which stream's turn it is takes too long beside a single step, and little beside two.
      if (stepsPerLine == 1)
        ifThen(equal(bitAnd(line, constantI64(numStreams - 1)), constantI64(0)),
               [&] { prefetchStreams(divide(line, numStreams)); });
      else
        prefetchLine(bitAnd(line, constantI64(numStreams - 1)), divide(line, numStreams));
      return;
    }
    // Tiles that go over several lines at once have few rows. Unless they add to sums, they come in twos at least: half
    // of the lines will do.
    for (int64_t i = 0; i < numLines; i += numStreams == 1 && !variant.accumulates ? 2 : numStreams)
      prefetchStreams(divide(add(line, i), numStreams));
  }

  Value loadA(int64_t row, Value k) {
    Value scalar = load(b.getF32Type(), ptrAdd(rows[row], multiply(k, 4)));
    return vector::BroadcastOp::create(b, loc, vectorOf(b.getF32Type(), lanes), scalar);
  }

  /// Words of vector j of columns with step `step` of a line of B.
  Value loadWords(int64_t j, Value line, int64_t step, bool isVolatile = false) {
    int64_t perPanel = kLanes / lanes;
    Value columns = ptrAdd(ptrAdd(panels[j / perPanel], multiply(line, bStepStride)),
                           j % perPanel * lanes * loader.getWordBytes(b));
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

  /// One row: some steps with one panel, then with the next, since memory is read faster in order.
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

  /// One row, all steps of a sum after each other, while their words are in a register. Several rows have none to
  /// spare.
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

  ProductVariant variant;
  const PanelLoader &loader;
  int64_t stepsPerLine;
  Tile tile;
  int64_t lanes, numVectors;
  Value aRowStride, bStepStride, bPanelStride, numK, c, cRowStride, prefetchStride;
  Values rows, panels, prefetchPanels;
};

} // namespace

/// tile_KIND_RxP(a, aRowStride, b, bStepStride, bPanelStride, numK, c, cRowStride, prefetchFrom, prefetchStride).
static func::FuncOp getTile(KernelEmitter &emitter, ProductVariant variant, Tile tile) {
  MLIRContext *context = emitter.getModule().getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = IntegerType::get(context, 64);
  std::string name = ("tile_" + variant.getName() + "_" + Twine(tile.rows) + "x" + Twine(tile.panels)).str();
  return emitter.getFunction(
      name, FunctionType::get(context, {pointer, i64, pointer, i64, i64, i64, pointer, i64, pointer, i64}, {}),
      [&](OpBuilder &b, func::FuncOp function) { TileWriter(emitter, b, function, variant, tile).write(); });
}

/// The address of panel `panel` of a matrix.
static Value getPanel(CodeWriter &w, Value matrix, Value bPanelStride, Value panel, const ProductVariant &variant) {
  int64_t perLine = variant.panelsPerLine;
  if (perLine == 1)
    return w.ptrAdd(matrix, w.multiply(panel, bPanelStride));
  Value line = w.ptrAdd(matrix, w.multiply(w.divide(panel, perLine), bPanelStride));
  return w.ptrAdd(line,
                  w.multiply(w.remainder(panel, w.constantI64(perLine)), kLanes * variant.loader.getWordBytes(w.b)));
}

/// Panels that a tile of so many rows takes: all side by side, or some of those. So tiles that follow each other, by
/// whole ones and then by falling powers of two, begin where the panels of a line do or end in the same line.
static int64_t getTilePanels(const CPUTarget &target, const ProductVariant &variant, int64_t rows) {
  int64_t panels = variant.loader.getTilePanels(target, rows), perLine = variant.panelsPerLine;
  return panels < perLine ? llvm::bit_floor<uint64_t>(panels) : panels / perLine * perLine;
}

/// Panels by tiles of `rows` rows: as wide as registers allow, then what is left by powers of two.
static void writePanels(CodeWriter &w, func::FuncOp function, ProductVariant variant, int64_t rows) {
  auto argument = [&](unsigned i) { return function.getArgument(i); };
  Value numPanels = argument(1), aRowStride = argument(3), bPanelStride = argument(6);
  auto callTile = [&](int64_t panels, Value first) {
    Value b = getPanel(w, argument(4), bPanelStride, first, variant), c = w.ptrAdd(argument(8), w.multiply(first, 64));
    w.call(getTile(w.emitter, variant, {rows, panels}),
           {argument(2), aRowStride, b, argument(5), bPanelStride, argument(7), c, argument(9),
            getPanel(w, argument(10), bPanelStride, first, variant), argument(11)});
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
  ProductVariant variant(product);
  func::FuncOp function =
      emitter.getFunction("product_" + variant.getName(), type, [&](OpBuilder &b, func::FuncOp function) {
        CodeWriter inner(emitter, b, function.getLoc());
        auto rows = llvm::to_vector(llvm::seq_inclusive<int64_t>(1, emitter.getTarget().getMaxRows()));
        inner.switchOn(function.getArgument(0), rows,
                       [&](int64_t count) { writePanels(inner, function, variant, count); });
      });
  Value prefetchFrom = product.prefetchFrom ? product.prefetchFrom : product.b,
        prefetchStride = product.prefetchStride ? product.prefetchStride : w.constantI64(0);
  w.call(function, {product.rows, product.numPanels, product.a, product.aRowStride, product.b, product.bStepStride,
                    product.bPanelStride, product.numK, product.c, product.cRowStride, prefetchFrom, prefetchStride});
}
