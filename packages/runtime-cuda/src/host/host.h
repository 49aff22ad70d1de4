// What a printed .cu takes from CUDA, for g++ on the CPU: so that it compiles unchanged and runs, a block at a time. The
// threads of a block are fibers, which really take turns at barriers and shuffles. Shared memory begins as NaN; a barrier
// or shuffle that not all lanes reach, an index outside a shared or private array and an unaligned vector access end the
// launch with a message. Small on purpose: it is compiled with every layer.
#pragma once
#if !defined(__linux__) || !(defined(__x86_64__) || defined(__aarch64__))
#error "the host check switches stacks by hand: it knows Linux on x86-64 and 64-bit ARM"
#endif
#include <sys/mman.h>

#define ESPALIER_HOST 1
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("espalier_shared")))

struct uint3 { unsigned x, y, z; };
struct __align__(8) float2 { float x, y; };
struct __align__(16) float4 { float x, y, z, w; };
struct __align__(8) int2 { int x, y; };
struct __align__(8) uint2 { unsigned x, y; };
struct __align__(16) int4 { int x, y, z, w; };
struct __align__(4) ushort2 { unsigned short x, y; };
struct __align__(8) ushort4 { unsigned short x, y, z, w; };

static uint3 threadIdx, blockIdx, blockDim, gridDim;

// The linker sets these around all shared memory; there may be none.
extern char __start_espalier_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_espalier_shared[] __attribute__((weak, visibility("hidden")));

extern "C" void espalier_switch(void** save, void* load) __attribute__((visibility("hidden")));
#if defined(__x86_64__)
asm(R"(.text
.hidden espalier_switch
.globl espalier_switch
espalier_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#else
asm(R"(.text
.hidden espalier_switch
.globl espalier_switch
espalier_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#endif

namespace espalier {
namespace host {

constexpr int MOST_THREADS = 1024, WARP = 32;
constexpr unsigned long STACK_BYTES = 1 << 18;

enum State : unsigned char { READY, AT_BLOCK, AT_WARP, ENDED };

// A stack that runs one thread after another.
struct Fiber {
  void* at;
  Fiber* next;
};

struct Lane {
  Fiber* fiber;
  int line;
  State state;
  // Which of the two exchange areas it uses next: the fast may be in one while the slow still read the other.
  unsigned char turn;
};

struct Launch {
  void (*call)(void* const* pointers, const int* dims);
  void* const* pointers;
  const int* dims;
  char* message;
  bool failed;
};

static Lane lanes[MOST_THREADS];
static unsigned areas[MOST_THREADS / WARP][2][WARP][8];
static void* scheduler;
static Fiber* idle;
static Launch launch;

template <class... T>
static void fail(const char* format, T... values) {
  if (launch.failed) return;
  launch.failed = true;
  __builtin_snprintf(launch.message, 256, format, values...);
}

static void pause(State state, int line) {
  Lane& lane = lanes[threadIdx.x];
  lane.state = state;
  lane.line = line;
  espalier_switch(&lane.fiber->at, scheduler);
}

// Ends this thread for good: its fiber is abandoned.
[[noreturn]] static void give_up() {
  for (;;) pause(ENDED, 0);
}

static void fiber_main() {
  for (;;) {
    launch.call(launch.pointers, launch.dims);
    Lane& lane = lanes[threadIdx.x];
    Fiber* self = lane.fiber;
    lane.state = ENDED;
    lane.line = 0;
    self->next = idle;
    idle = self;
    espalier_switch(&self->at, scheduler);
  }
}

static Fiber* fresh_fiber() {
  void* memory = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  Fiber* fiber = (Fiber*)memory;
  char* top = (char*)memory + STACK_BYTES;
#if defined(__x86_64__)
  void** frame = (void**)(top - 16 - 6 * 8);
  frame[6] = (void*)fiber_main;
#else
  void** frame = (void**)(top - 160);
  frame[11] = (void*)fiber_main;
#endif
  fiber->at = frame;
  return fiber;
}

// Stacks are kept between launches, except after a failure, which leaves threads in the middle of theirs.
static void resume(int t) {
  Lane& lane = lanes[t];
  if (lane.fiber == nullptr) {
    if (idle != nullptr) {
      lane.fiber = idle;
      idle = idle->next;
    } else {
      lane.fiber = fresh_fiber();
    }
    if (lane.fiber == nullptr) {
      fail("no memory for the stack of thread %d", t);
      lane.state = ENDED;
      return;
    }
  }
  threadIdx.x = (unsigned)t;
  espalier_switch(&scheduler, lane.fiber->at);
}

// Whether all lanes of first ... end wait in `state` at one line.
static bool all_at(State state, int first, int end) {
  for (int t = first; t < end; t++)
    if (lanes[t].state != state || lanes[t].line != lanes[first].line) return false;
  return true;
}

static void release(int first, int end) {
  for (int t = first; t < end; t++) lanes[t].state = READY;
}

static void tell_stuck(int threads) {
  int ended = 0, first = -1;
  for (int t = 0; t < threads; t++) {
    if (lanes[t].state == ENDED) ended++;
    else if (first < 0) first = t;
  }
  int there = 0;
  for (int t = 0; t < threads; t++)
    if (lanes[t].state == lanes[first].state && lanes[t].line == lanes[first].line) there++;
  const bool block = lanes[first].state == AT_BLOCK;
  fail("block %u: %s of line %d is reached by %d of the %d lanes %s; %d have ended, %d wait elsewhere", blockIdx.x,
       block ? "the barrier" : "what a warp does together", lanes[first].line, there, threads,
       block ? "of the block" : "of all warps", ended, threads - ended - there);
}

static void run_block(int threads) {
  for (int t = 0; t < threads; t++) lanes[t] = {nullptr, 0, READY, 0};
  if (__start_espalier_shared != nullptr)
    __builtin_memset(__start_espalier_shared, 0xff, (unsigned long)(__stop_espalier_shared - __start_espalier_shared));
  for (int pass = 0; !launch.failed; pass++) {
    for (int warp = 0; warp < threads; warp += WARP) {
      const int end = warp + WARP < threads ? warp + WARP : threads;
      for (bool again = true; again && !launch.failed;) {
        // Forwards and backwards in turn: who relies on an order without a barrier is found out.
        for (int i = 0; i < end - warp && !launch.failed; i++) {
          const int t = pass % 2 == 0 ? warp + i : end - 1 - i;
          if (lanes[t].state == READY) resume(t);
        }
        again = all_at(AT_WARP, warp, end);
        if (again) release(warp, end);
      }
    }
    if (launch.failed || all_at(ENDED, 0, threads)) return;
    if (!all_at(AT_BLOCK, 0, threads)) return tell_stuck(threads);
    release(0, threads);
  }
}

// Runs `grid` blocks. Returns 0, or 1 with a text of at most 255 bytes in `message`.
static int run(void (*call)(void* const*, const int*), int grid, int threads, void* const* pointers, const int* dims,
               char* message) {
  launch = {call, pointers, dims, message, false};
  if (threads > MOST_THREADS) fail("a block of %d threads", threads);
  blockDim = {(unsigned)threads, 1, 1};
  gridDim = {(unsigned)grid, 1, 1};
  for (int block = 0; block < grid && !launch.failed; block++) {
    blockIdx = {(unsigned)block, 0, 0};
    threadIdx = {0, 0, 0};
    run_block(threads);
  }
  return launch.failed ? 1 : 0;
}

static void end() {
  while (idle != nullptr) {
    Fiber* fiber = idle;
    idle = fiber->next;
    munmap(fiber, STACK_BYTES);
  }
}

// An argument that becomes a pointer of whatever type the parameter has.
struct Pointer {
  void* address;
  template <class T>
  operator T*() const { return (T*)address; }
};

// What every lane of the warp brings, once all have.
struct Gathered {
  unsigned (*area)[8];
  unsigned operator()(int lane, int i) const { return area[lane][i]; }
};

static Gathered gather(int line, const unsigned* values, int count) {
  Lane& lane = lanes[threadIdx.x];
  unsigned(*area)[8] = areas[threadIdx.x / WARP][lane.turn];
  lane.turn ^= 1;
  for (int i = 0; i < count; i++) area[threadIdx.x % WARP][i] = values[i];
  pause(AT_WARP, line);
  return {area};
}

template <class T>
static T exchange(int line, T value, int from) {
  unsigned bits;
  __builtin_memcpy(&bits, &value, 4);
  bits = gather(line, &bits, 1)(from & (WARP - 1), 0);
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

template <class To, class From>
static To as(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits");
  To to;
  __builtin_memcpy(&to, &from, sizeof(To));
  return to;
}

static inline float half_value(unsigned bits) {
  const unsigned magnitude = bits & 0x7fff;
  const float value = magnitude >= 0x7c00 ? as<float>(0x7f800000u | magnitude << 13) : as<float>(magnitude << 13) * 0x1p112f;
  return bits & 0x8000 ? -value : value;
}

static inline unsigned half_bits(float value) {
  const unsigned bits = as<unsigned>(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14 an addition rounds to the last place of a denormal.
  if (magnitude < 0x38800000) return sign | (as<unsigned>(as<float>(magnitude) + 0.5f) - 0x3f000000);
  return sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

static inline unsigned bfloat_bits(float value) {
  const unsigned bits = as<unsigned>(value);
  if (value != value) return 0x7fff;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// One element of a fragment register: how 16-bit formats are read.
static inline float f16_element(unsigned word, int i) { return half_value(word >> 16 * i & 0xffff); }
static inline float bf16_element(unsigned word, int i) { return as<float>((word >> 16 * i & 0xffff) << 16); }

// c += a . b where `a_of(row, k)` and `b_of(k, column)` give elements; the lane's own four places of c.
template <class A, class B>
static void multiply(float* c, int depth, A a_of, B b_of) {
  const int group = threadIdx.x % WARP / 4, member = threadIdx.x % 4;
  for (int i = 0; i < 4; i++) {
    const int row = group + (i / 2) * 8, column = member * 2 + i % 2;
    for (int k = 0; k < depth; k++) c[i] = (float)((double)c[i] + (double)a_of(row, k) * (double)b_of(k, column));
  }
}

// 16-bit operands: two neighbours in depth a register.
template <class Element>
static void multiply_pairs(int line, float* c, const unsigned* a, const unsigned* b, int depth, Element element) {
  const int count = depth / 4;
  unsigned words[6];
  for (int i = 0; i < count; i++) words[i] = a[i];
  for (int i = 0; i < count / 2; i++) words[count + i] = b[i];
  const Gathered all = gather(line, words, count + count / 2);
  multiply(
      c, depth, [&](int row, int k) { return element(all(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2), k % 2); },
      [&](int k, int column) { return element(all(column * 4 + k % 8 / 2, count + k / 8), k % 2); });
}

}  // namespace host

static inline float min(float a, float b) {
  if (a != a || b != b) return host::as<float>(0x7fffffffu);
  return a < b || (a == b && __builtin_signbit(a)) ? a : b;
}
static inline float max(float a, float b) {
  if (a != a || b != b) return host::as<float>(0x7fffffffu);
  return a > b || (a == b && !__builtin_signbit(a)) ? a : b;
}
static inline float f16_to_f32(unsigned short bits) { return host::half_value(bits); }
static inline unsigned short f32_to_f16(float a) { return (unsigned short)host::half_bits(a); }
static inline unsigned tf32(float a) {
  const unsigned bits = host::as<unsigned>(a);
  return (bits & 0x7f800000) == 0x7f800000 ? bits : (bits + 0x1000) & ~0x1fffu;
}
static inline unsigned f16_pair(float low, float high) { return host::half_bits(low) | host::half_bits(high) << 16; }
static inline unsigned f16_pair(unsigned short low, unsigned short high) { return low | (unsigned)high << 16; }
static inline unsigned short f32_to_bf16(float a) { return (unsigned short)host::bfloat_bits(a); }
static inline unsigned bf16_pair(float low, float high) { return host::bfloat_bits(low) | host::bfloat_bits(high) << 16; }

// Register i of a lane is two neighbours of a row that lane 8 * i + lane / 4 points to.
static inline void load_rows(unsigned* to, const unsigned short* from) {
  if ((unsigned long)from % 16 != 0) {
    host::fail("block %u, thread %u: rows of a fragment at an address that is not a multiple of 16 bytes", blockIdx.x,
               threadIdx.x);
    host::give_up();
  }
  unsigned words[2];
  __builtin_memcpy(words, &from, sizeof from);
  const host::Gathered all = host::gather(__LINE__, words, 2);
  const int lane = threadIdx.x % host::WARP;
  for (int i = 0; i < 4; i++) {
    const unsigned address[2] = {all(8 * i + lane / 4, 0), all(8 * i + lane / 4, 1)};
    const unsigned* row;
    __builtin_memcpy(&row, address, sizeof row);
    to[i] = row[lane % 4];
  }
}

static inline void mma_k8_tf32(float* c, const unsigned* a, const unsigned* b) {
  const unsigned words[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const host::Gathered all = host::gather(__LINE__, words, 6);
  host::multiply(
      c, 8, [&](int row, int k) { return host::as<float>(all(row % 8 * 4 + k % 4, row / 8 + k / 4 * 2)); },
      [&](int k, int column) { return host::as<float>(all(column * 4 + k % 4, 4 + k / 4)); });
}
static inline void mma_k8_f16(float* c, const unsigned* a, const unsigned* b) {
  host::multiply_pairs(__LINE__, c, a, b, 8, host::f16_element);
}
static inline void mma_k16_f16(float* c, const unsigned* a, const unsigned* b) {
  host::multiply_pairs(__LINE__, c, a, b, 16, host::f16_element);
}
static inline void mma_k8_bf16(float* c, const unsigned* a, const unsigned* b) {
  host::multiply_pairs(__LINE__, c, a, b, 8, host::bf16_element);
}
static inline void mma_k16_bf16(float* c, const unsigned* a, const unsigned* b) {
  host::multiply_pairs(__LINE__, c, a, b, 16, host::bf16_element);
}
}  // namespace espalier

#define __syncthreads() espalier::host::pause(espalier::host::AT_BLOCK, __LINE__)
#define __syncwarp() espalier::host::pause(espalier::host::AT_WARP, __LINE__)
#define __shfl_sync(mask, value, lane) espalier::host::exchange(__LINE__, value, lane)
#define __shfl_xor_sync(mask, value, other) \
  espalier::host::exchange(__LINE__, value, (int)(threadIdx.x % espalier::host::WARP) ^ (other))

template <class T>
static inline T __ldcs(const T* from) {
  return *from;
}
template <class T>
static inline void __stcs(T* to, T value) {
  *to = value;
}

static inline int atomicCAS(int* at, int expected, int value) {
  const int old = *at;
  if (old == expected) *at = value;
  return old;
}
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline int abs(int a) { return a < 0 ? -a : a; }
static inline float fabsf(float a) { return __builtin_fabsf(a); }
static inline float floorf(float a) { return __builtin_floorf(a); }
static inline float rintf(float a) { return __builtin_rintf(a); }
static inline float sqrtf(float a) { return __builtin_sqrtf(a); }
static inline float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline int __float_as_int(float a) { return espalier::host::as<int>(a); }
static inline float __int_as_float(int a) { return espalier::host::as<float>(a); }
static inline int __float2int_rz(float a) {
  if (a != a) return 0;
  return a >= 0x1p31f ? 2147483647 : a < -0x1p31f ? -2147483647 - 1 : (int)a;
}

// What -fsanitize=bounds,alignment calls.
struct EspalierPlace { const char* file; unsigned line, column; };
extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_out_of_bounds(const EspalierPlace* place, unsigned long index) {
  espalier::host::fail("block %u, thread %u, line %u: index %ld lies outside its array", blockIdx.x, threadIdx.x, place->line,
                       (long)index);
  espalier::host::give_up();
}
extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_type_mismatch_v1(const EspalierPlace* place, unsigned long) {
  espalier::host::fail("block %u, thread %u, line %u: an address that is not a multiple of what is read or written there",
                       blockIdx.x, threadIdx.x, place->line);
  espalier::host::give_up();
}
