// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What an entry function does: the records it launches, the cells it fills, its control flow, the services it asks.

#include "HostCode.h"

#include <cmath>

namespace lariat::test {

using Strings = std::vector<std::string>;
using Words = std::vector<int64_t>;

TEST_F(HostCode, LaunchesRecords) {
  compile(R"(
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %x = kernel.port 0 : memref<?x8xf32, strided<[16, 1]>>
      %y = kernel.port 1 : memref<?x8xf32, strided<[16, 1]>>
      %t = kernel.buffer offset(128) : memref<?x32xf32>
      %c = kernel.columns %t from 16 : memref<?x32xf32> to memref<?x8xf32, strided<[32, 1]>>
      %half = arith.constant 0.5 : f32
      kernel.parallel {
        kernel.rowwise rows(%n) width(8) ins(%x, %half : memref<?x8xf32, strided<[16, 1]>>, f32) vectors []
            outs(%c : memref<?x8xf32, strided<[32, 1]>>) gather [-1, -1] scatter [-1] {
        ^bb0(%e: f32, %h: f32):
          %p = arith.mulf %e, %h : f32
          kernel.yield %p : f32
        }
        kernel.barrier
        kernel.rowwise rows(%n) width(8) ins(%c : memref<?x8xf32, strided<[32, 1]>>) vectors []
            outs(%y : memref<?x8xf32, strided<[16, 1]>>) gather [-1] scatter [-1] {
        ^bb0(%e: f32):
          %p = arith.addf %e, %e : f32
          kernel.yield %p : f32
        }
      }
      kernel.set_port_rows 1, %n
      return
    })");
  EXPECT_EQ(numCells, 3); // two ports and a factor
  alignas(64) float x[5 * 16], y[5 * 16] = {};
  for (int i = 0; i < 5 * 16; ++i)
    x[i] = static_cast<float>(i);
  run("lariat_entry", 5, {x, y}, {5, 0});
  EXPECT_EQ(log, Strings{"launch 2"});
  ASSERT_EQ(launches.size(), 1u);
  ASSERT_EQ(launches[0].size(), 2u);
  EXPECT_EQ(launches[0][0].flags, abi::kBarrierAfter);
  EXPECT_EQ(launches[0][1].flags, 0);
  int64_t arenaWord = abi::kArena | 128 << 8, port = abi::kFirstPort;
  EXPECT_EQ(launches[0][0].operands, (Words{0, port, 0, 2, arenaWord, 64})); // rows, x, factor, columns
  EXPECT_EQ(launches[0][1].operands, (Words{0, arenaWord, 64, port + 1, 0}));
  EXPECT_EQ(cells[1], 5);
  for (int row = 0; row < 5; ++row)
    for (int column = 0; column < 8; ++column)
      EXPECT_EQ(y[row * 16 + column], x[row * 16 + column]) << row << ' ' << column;
}

TEST_F(HostCode, FollowsControlFlow) {
  // Adds one to the first rows of port 1, fewer and fewer of them; then marks even rows.
  compile(R"(
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %y = kernel.port 1 : memref<?xf32>
      %bits = kernel.port 2 : memref<?xi1>
      %table = kernel.port 0 : memref<?x6xindex>
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %two = arith.constant 2 : index
      %left = scf.while (%rows = %n) : (index) -> index {
        %more = arith.cmpi ugt, %rows, %zero : index
        scf.condition(%more) %rows : index
      } do {
      ^bb0(%rows: index):
        kernel.parallel {
          kernel.rowwise rows(%rows) width(1) ins(%y : memref<?xf32>) vectors [] outs(%y : memref<?xf32>)
              gather [-1] scatter [-1] {
          ^bb0(%e: f32):
            %c = arith.constant 1.0 : f32
            %s = arith.addf %e, %c : f32
            kernel.yield %s : f32
          }
        }
        %isOne = arith.cmpi eq, %rows, %one : index
        %next = scf.if %isOne -> index {
          scf.yield %zero : index
        } else {
          %half = arith.ceildivui %rows, %two : index
          scf.yield %half : index
        }
        scf.yield %next : index
      }
      scf.for %i = %zero to %n step %one {
        %position = memref.load %table[%i, %two] : memref<?x6xindex>
        %odd = arith.remui %position, %two : index
        %even = arith.cmpi eq, %odd, %zero : index
        memref.store %even, %bits[%i] : memref<?xi1>
        %before = memref.load %y[%i] : memref<?xf32>
        %bit = memref.load %bits[%i] : memref<?xi1>
        %hundred = arith.constant 100.0 : f32
        %more = arith.addf %before, %hundred : f32
        %after = arith.select %bit, %more, %before : f32
        memref.store %after, %y[%i] : memref<?xf32>
      }
      return
    })");
  int64_t table[5][6] = {};
  for (int64_t row = 0; row < 5; ++row)
    table[row][abi::kPosition] = row;
  alignas(64) float y[16] = {};
  uint8_t bits[5] = {9, 9, 9, 9, 9};
  run("lariat_entry", 5, {table, y, bits}, {5, 0, 0});
  EXPECT_EQ(log, (Strings{"launch 1", "launch 1", "launch 1", "launch 1"})); // 5, 3, 2, 1 rows
  EXPECT_EQ(std::vector<float>(y, y + 6), (std::vector<float>{104, 3, 102, 1, 101, 0}));
  EXPECT_EQ(std::vector<uint8_t>(bits, bits + 5), (std::vector<uint8_t>{1, 0, 1, 0, 1}));
  run("lariat_entry", 0, {table, y, bits}, {0, 0, 0});
  EXPECT_EQ(log, Strings{});
}

TEST_F(HostCode, AsksServices) {
  compile(R"(
    kernel.cache @a number(0) layers(1) heads(1) dim(16) : f32
    kernel.cache @b number(1) layers(1) heads(1) dim(16) : f32
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %table = kernel.port 0 : memref<?x6xindex>
      %bits = kernel.port 1 : memref<?xi1>
      %kept = kernel.buffer offset(0) : memref<?x6xindex>
      %next = kernel.buffer offset(48) : memref<?x6xindex>
      %lines = kernel.buffer offset(96) : memref<?xindex>
      %entries = kernel.buffer offset(104) : memref<?x2xindex>
      %views = kernel.buffer offset(120) : memref<?x4xindex>
      %depth = arith.constant 3 : index
      %m = kernel.compact rows(%n) %table where %bits to %kept : memref<?x6xindex>, memref<?xi1>, memref<?x6xindex>
      kernel.advance rows(%m) %kept depth(%depth) to %next : memref<?x6xindex>, memref<?x6xindex>
      kernel.lines rows(%m) %next in %table rows(%n) to %lines : memref<?x6xindex>, memref<?x6xindex>, memref<?xindex>
      kernel.reserve rows(%m) at %next slots %lines of @b filled true to %entries
          : memref<?x6xindex>, memref<?xindex>, memref<?x2xindex>
      kernel.view rows(%m) at %next slots %lines of @a newest_at_most ahead false to %views
          : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
      kernel.view rows(%m) at %next slots %lines of @a exact generated(%lines : memref<?xindex>, first) ahead true
          to %views : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
      %k = kernel.last rows(%m) %next to %kept : memref<?x6xindex>, memref<?x6xindex>
      kernel.set_port_rows 1, %k
      return
    })");
  compactCount = 4;
  int64_t table[20 * 6] = {};
  uint8_t bits[20] = {};
  run("lariat_entry", 20, {table, bits}, {20, 20});
  EXPECT_EQ(log, (Strings{"compact port 0, 20, port 1, arena 0", "advance arena 0, 4, 3, arena 48",
                          "lines port 0, 20, arena 48, 4, arena 96", "reserve 1, arena 48, 4, arena 96, 1, arena 104",
                          "view 0, arena 48, 4, arena 96, 2, 0, arena 120",
                          "view 0, arena 48, 4, arena 96, 0, arena 96, 3, 1, arena 120", "last arena 48, 4, arena 0"}));
  EXPECT_EQ(cells[1], 3);
}

TEST_F(HostCode, AsksForSlotsAndCopies) {
  compile(R"(
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %table = kernel.port 0 : memref<?x6xindex>
      %copy = kernel.buffer offset(0) : memref<?x6xindex>
      %slots = kernel.buffer offset(48) : memref<?xindex>
      %two = arith.constant 2 : index
      kernel.copy_rows rows(%n) %table to %copy : memref<?x6xindex>, memref<?x6xindex>
      kernel.slots rows(%n) at %copy <ring of 4> to %slots : memref<?x6xindex>, memref<?xindex>
      kernel.slots rows(%n) at %copy <own> generated <first below 1> to %slots : memref<?x6xindex>, memref<?xindex>
      kernel.fill rows(%n) %two to %slots : memref<?xindex>
      return
    })");
  int64_t table[3 * 6] = {};
  run("lariat_entry", 3, {table}, {3});
  EXPECT_EQ(log, (Strings{"copyRows port 0, 3, arena 0", "slots arena 0, 3, 3 of 4, 3 of 4, arena 48",
                          "slots arena 0, 3, 0 of 1, 1 of 1 below 1, arena 48", "fill 3, 2, arena 48"}));
}

TEST_F(HostCode, TakesTheGenericPath) {
  compile(R"(
    func.func private @generic_0(%z: tensor<?xf32>, %a: !lariat.rows) -> !lariat.rows attributes {kernel.generic_body} {
      %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf32> to !lariat.rows
      return %k : !lariat.rows
    }
    func.func private @generic_1(%x: tensor<?x3xf32>, %f: f32, %a: !lariat.rows) -> (tensor<?x3xf32>, tensor<?x3xbf16>)
        attributes {kernel.generic_body} {
      %s = math.sin %x : tensor<?x3xf32>
      %b = lariat.spread %f at %a : f32 at !lariat.rows to tensor<?x3xf32>
      %y = arith.addf %x, %b : tensor<?x3xf32>
      %z = arith.addf %y, %s : tensor<?x3xf32>
      %h = arith.truncf %z : tensor<?x3xf32> to tensor<?x3xbf16>
      return %z, %h : tensor<?x3xf32>, tensor<?x3xbf16>
    }
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %table = kernel.port 0 : memref<?x6xindex>
      %scores = kernel.port 1 : memref<?xf32>
      %x = kernel.port 2 : memref<?x3xf32, strided<[16, 1]>>
      %kept = kernel.port 3 : memref<?x6xindex>
      %y = kernel.port 4 : memref<?x3xf32, strided<[16, 1]>>
      %h = kernel.port 5 : memref<?x3xbf16, strided<[16, 1]>>
      %zero = arith.constant 0 : index
      %f = arith.constant 2.0 : f32
      %m = kernel.generic @generic_0 ins(%scores, %table : memref<?xf32>, memref<?x6xindex>) rows(%n, %n)
          outs(%kept : memref<?x6xindex>) : index
      kernel.set_port_rows 3, %m
      %c:2 = kernel.generic @generic_1
          ins(%x, %f, %kept : memref<?x3xf32, strided<[16, 1]>>, f32, memref<?x6xindex>) rows(%m, %zero, %m)
          outs(%y, %h : memref<?x3xf32, strided<[16, 1]>>, memref<?x3xbf16, strided<[16, 1]>>) : index, index
      kernel.set_port_rows 4, %c#0
      kernel.parallel {
        kernel.rowwise rows(%m) width(3) ins(%y : memref<?x3xf32, strided<[16, 1]>>) vectors []
            outs(%y : memref<?x3xf32, strided<[16, 1]>>) gather [-1] scatter [-1] {
        ^bb0(%e: f32):
          %s = math.sin %e : f32
          kernel.yield %s : f32
        }
      }
      return
    })");
  int64_t table[5][6] = {}, kept[5][6] = {};
  for (int64_t row = 0; row < 5; ++row)
    table[row][abi::kRoot] = table[row][abi::kPosition] = row, table[row][abi::kLength] = 5;
  alignas(64) float scores[16] = {1, 5, 2, 4, 3}, x[5 * 16], y[5 * 16], old[5 * 16];
  alignas(64) uint16_t h[5 * 16];
  for (int i = 0; i < 5 * 16; ++i)
    old[i] = x[i] = static_cast<float>(i) / 8, y[i] = -1, h[i] = 0;
  run("lariat_entry", 5, {table, scores, x, kept, y, h}, {5, 5, 5, 0, 0, 0});
  EXPECT_EQ(log, (Strings{"allocate", "release", "allocate", "release", "launch 1"}));
  EXPECT_EQ(cells[3], 2);
  EXPECT_EQ(cells[4], 2);
  EXPECT_EQ(kept[0][abi::kRoot], 1);
  EXPECT_EQ(kept[1][abi::kRoot], 3);
  for (int i = 0; i < 5 * 16; ++i) {
    bool isTouched = i / 16 < 2 && i % 16 < 3;
    float sum = x[i] + 2 + sinf(x[i]);
    if (isTouched || i >= 2 * 16) // kernels may write what fills up a line
      EXPECT_EQ(y[i], isTouched ? sinf(sum) : -1) << i;
    uint32_t bits = isTouched ? __builtin_bit_cast(uint32_t, sum) : 0;
    EXPECT_EQ(h[i], (bits + 0x7fff + (bits >> 16 & 1)) >> 16) << i;
    EXPECT_EQ(x[i], old[i]) << "inputs stay as they are";
  }
}

TEST_F(HostCode, LeavesInputsOfTheGenericPathAlone) {
  compile(R"(
    func.func private @generic_0(%x: tensor<?x16xf32>) -> tensor<?x16xf32> attributes {kernel.generic_body} {
      %y = arith.addf %x, %x : tensor<?x16xf32>
      return %y : tensor<?x16xf32>
    }
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %x = kernel.port 0 : memref<?x16xf32>
      %y = kernel.port 1 : memref<?x16xf32>
      %m = kernel.generic @generic_0 ins(%x : memref<?x16xf32>) rows(%n) outs(%y : memref<?x16xf32>) : index
      return
    })");
  alignas(64) float x[2 * 16], y[2 * 16];
  std::fill(std::begin(x), std::end(x), 1.0f);
  run("lariat_entry", 2, {x, y}, {2, 0});
  for (int i = 0; i < 2 * 16; ++i) {
    EXPECT_EQ(x[i], 1);
    EXPECT_EQ(y[i], 2);
  }
}

TEST_F(HostCode, GivesStatesToTheGenericPath) {
  compile(R"(
    lariat.state @other layers(1) width(4) : f32
    lariat.state @s layers(2) width(2) : f32
    func.func private @generic_0(%d: tensor<?x2xf32>, %x: tensor<?x2xf32>, %a: !lariat.rows) -> tensor<?x2xf32>
        attributes {kernel.generic_body} {
      %y = lariat.scan @s[1] %d, %x at %a : tensor<?x2xf32>
      return %y : tensor<?x2xf32>
    }
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %table = kernel.port 0 : memref<?x6xindex>
      %d = kernel.port 1 : memref<?x2xf32, strided<[16, 1]>>
      %x = kernel.port 2 : memref<?x2xf32, strided<[16, 1]>>
      %y = kernel.port 3 : memref<?x2xf32, strided<[16, 1]>>
      %m = kernel.generic @generic_0 ins(%d, %x, %table : memref<?x2xf32, strided<[16, 1]>>,
          memref<?x2xf32, strided<[16, 1]>>, memref<?x6xindex>) rows(%n, %n, %n)
          outs(%y : memref<?x2xf32, strided<[16, 1]>>) : index
      return
    })");
  // Sequence 1 goes on at position 3, in its deepest of three depths.
  int64_t table[2][6] = {{0, 1, 3, 2, 0, 5}, {1, 1, 4, 2, 0, 5}};
  alignas(64) float d[2 * 16] = {}, x[2 * 16] = {}, y[2 * 16] = {};
  d[0] = d[1] = d[16] = d[17] = 0.5f;
  x[0] = 1, x[16] = 2;
  float other[2 * 1 * 1 * 4] = {}, state[2 /*sequences*/][2 /*layers*/][3 /*depths*/][2 /*width*/] = {};
  state[1][1][2][0] = 8;
  state[1][1][2][1] = 4;
  run("lariat_entry", 2, {table, d, x, y}, {2, 2, 2, 0},
      {reinterpret_cast<std::byte *>(other), reinterpret_cast<std::byte *>(state)}, {1, 3}, 2);
  EXPECT_EQ(y[0], 5);     // 0.5 * 8 + 1
  EXPECT_EQ(y[16], 4.5f); // 0.5 * 5 + 2
  EXPECT_EQ(y[17], 1);
  EXPECT_EQ(state[1][1][2][0], 4.5f);
  EXPECT_EQ(state[1][1][2][1], 1);
  EXPECT_EQ(state[1][1][1][0], 0);
}

TEST_F(HostCode, NamesWhatTheRuntimeLacks) {
  EXPECT_EQ(errorOf(R"(
    func.func private @strange(f32) -> f32
    func.func @lariat_entry() {
      %n = kernel.port_rows 0
      %x = kernel.port 0 : memref<?xf32>
      %zero = arith.constant 0 : index
      %a = memref.load %x[%zero] : memref<?xf32>
      %b = func.call @strange(%a) : (f32) -> f32
      memref.store %b, %x[%zero] : memref<?xf32>
      return
    })"),
            "compiled code needs 'strange', which no runtime offers");
}

} // namespace lariat::test
