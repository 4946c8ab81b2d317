// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Helper functions and weight globals of the reference lowering. Helpers are private functions behind the module's own,
// so that code size follows the number of shapes, not of layers or loop steps.

#include "Helpers.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

static constexpr llvm::StringLiteral kWeightPrefix = "weight_";
static constexpr llvm::StringLiteral kTransposedPrefix = "weightT_";

static MemRefType dynamicMemory(int64_t rank, Type element) {
  return MemRefType::get(SmallVector<int64_t>(rank, ShapedType::kDynamic), element);
}

Helpers::Helpers(ModuleOp module) : module(module) {
  for (auto weight : module.getOps<WeightOp>()) {
    weights[weight.getSymName()] = weight;
    if (weight.getDepths() && weight.getBeyond() == Beyond::Error)
      checkedWeights.try_emplace(weight.getSymName(), static_cast<int64_t>(checkedWeights.size()));
  }
  for (auto cache : module.getOps<CacheOp>()) {
    caches[cache.getSymName()] = {cache, memoryTypes.size()};
    memoryTypes.append(2, dynamicMemory(5, cache.getType()));
    memoryTypes.push_back(dynamicMemory(4, IntegerType::get(module.getContext(), 8)));
  }
  firstState = memoryTypes.size();
  for (auto state : module.getOps<StateOp>()) {
    states[state.getSymName()] = {state, memoryTypes.size()};
    memoryTypes.push_back(dynamicMemory(4, state.getType()));
  }
  memoryTypes.push_back(dynamicMemory(1, IndexType::get(module.getContext())));
}

void Helpers::addMemoryArguments() {
  for (auto function : module.getOps<func::FuncOp>()) {
    unsigned first = function.getNumArguments();
    for (auto [index, type] : llvm::enumerate(memoryTypes))
      (void)function.insertArgument(first + index, type, {}, function.getLoc());
  }
}

static Value getMemoryArgument(Operation *op, unsigned place, unsigned count) {
  auto function = op->getParentOfType<func::FuncOp>();
  return function.getArgument(function.getNumArguments() - count + place);
}

SmallVector<Value> Helpers::cacheMemory(Operation *op, StringRef name) const {
  unsigned first = caches.lookup(name).second;
  SmallVector<Value> memory;
  for (unsigned place = first; place < first + kArgumentsPerCache; ++place)
    memory.push_back(getMemoryArgument(op, place, memoryTypes.size()));
  return memory;
}

Value Helpers::stateMemory(Operation *op, StringRef name) const {
  return getMemoryArgument(op, states.lookup(name).second, memoryTypes.size());
}

Value Helpers::faultMemory(Operation *op) const {
  return getMemoryArgument(op, memoryTypes.size() - 1, memoryTypes.size());
}

std::optional<int64_t> Helpers::getCheckedWeightNumber(StringRef name) const {
  auto it = checkedWeights.find(name);
  return it == checkedWeights.end() ? std::nullopt : std::optional(it->second);
}

ValueRange Helpers::call(ConversionPatternRewriter &rewriter, Location loc, StringRef kind, StringRef params,
                         ValueRange operands, TypeRange results, Body body) {
  auto type = FunctionType::get(rewriter.getContext(), operands.getTypes(), results);
  std::string key;
  llvm::raw_string_ostream(key) << kind << ' ' << params << ' ' << type;
  func::FuncOp &function = functions[key];
  if (!function) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToEnd(module.getBody());
    std::string name = (kind + "_" + Twine(numOfKind[kind]++)).str();
    function = func::FuncOp::create(rewriter, module.getLoc(), name, type);
    function.setPrivate();
    rewriter.setInsertionPointToStart(function.addEntryBlock());
    LoopEmitter emitter(rewriter, module.getLoc());
    SmallVector<Value> returned = body(emitter, function.getArguments());
    func::ReturnOp::create(rewriter, module.getLoc(), returned);
  }
  return func::CallOp::create(rewriter, loc, function, operands).getResults();
}

Value Helpers::weight(ConversionPatternRewriter &rewriter, Location loc, StringRef name, bool transposed) {
  WeightOp op = weights.lookup(name);
  SmallVector<int64_t> shape(op.getTensorType().getShape());
  if (transposed)
    std::swap(shape[0], shape[1]);
  if (op.getDepths())
    shape.insert(shape.begin(), *op.getDepths());
  auto type = MemRefType::get(shape, rewriter.getF32Type());
  std::string symbol = ((transposed ? kTransposedPrefix : kWeightPrefix) + name).str();
  if (!module.lookupSymbol(symbol)) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(module.getBody());
    memref::GlobalOp::create(rewriter, op.getLoc(), symbol, StringAttr(), type, Attribute(),
                             /*constant=*/false, /*alignment=*/IntegerAttr());
  }
  return memref::GetGlobalOp::create(rewriter, loc, type, symbol);
}

SmallVector<WeightSymbol> lariat::reference::collectWeightSymbols(ModuleOp module) {
  SmallVector<WeightSymbol> symbols;
  for (auto global : module.getOps<memref::GlobalOp>()) {
    StringRef name = global.getSymName();
    bool transposed = name.consume_front(kTransposedPrefix);
    if (!global.isExternal() || (!transposed && !name.consume_front(kWeightPrefix)))
      continue;
    symbols.push_back({global.getSymName().str(), name.str(), transposed, global.getType()});
  }
  return symbols;
}
