/*
 * A CUDA driver of host memory, for tests on machines without a GPU. It keeps the rules that a real one keeps and a careless
 * caller breaks: work on a stream is done later, when it is waited for; copies need page-locked host memory and live device
 * memory; nothing may be allocated while a stream is captured; an error inside a kernel makes every later call fail. It counts
 * what is alive, writes down every call, and fails any call on demand. Kernels are functions of a shared library that the
 * module's image names: `HOST-LIBRARY path` for functions that take the grid, the threads of a block and pointers to their
 * arguments; `HOST-MODULE path`, then a line `NAME pointers dims` for each launch, for what the host check makes of printed
 * CUDA C. Images of real PTX or machine code are taken and their kernels do nothing.
 *
 * Where cuda.h is at hand the definitions below are compiled against NVIDIA's own prototypes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(WITH_CUDA_H)
#include <cuda.h>
#else
typedef int CUresult, CUdevice, CUdevice_attribute, CUfunction_attribute, CUjit_option, CUstreamCaptureMode;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUevent_st *CUevent;
typedef struct CUstream_st *CUstream;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
#endif

enum { OK = 0, INVALID_VALUE = 1, NO_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_PTX = 218, UNSUPPORTED_PTX_VERSION = 222,
       INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
       CAPTURE_UNSUPPORTED = 900 };

typedef void (*Kernel)(unsigned grid, unsigned block, void **params);
typedef int (*Checked)(int launch, int grid, int threads, void *const *pointers, const int *dims, char *message);

struct CUctx_st { int device; };
struct CUmod_st { void *library; char *image; size_t length; Checked checked; };
struct CUfunc_st { CUmodule module; Kernel kernel; int launch, pointers, dims; };
struct CUevent_st { int pending; int timing; double at; };

typedef struct Op {
  enum { COPY, FILL, LAUNCH, RECORD } kind;
  void *to;
  const void *from;
  size_t bytes;
  int value;
  CUfunction function;
  unsigned grid, block;
  void **params;
  CUevent event;
} Op;

typedef struct Ops { Op *list; size_t count, room; } Ops;
struct CUstream_st { Ops queue; int capturing; Ops captured; };
struct CUgraph_st { Ops ops; };
struct CUgraphExec_st { Ops ops; };

typedef struct Block { char *start; size_t bytes; int pinned; struct Block *next; } Block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUctx_st context = { 0 };
static _Thread_local CUcontext current;
static Block *blocks;
static CUstream streams[16];
static char *journal;
static size_t journal_length, journal_room;
static int sticky, launches_until_fault = -1, fault_code, impatience_left, retained;
static int settings[9] = { 1, 9, 0, 1024, 0, 0, 13000, 0, 90 };
enum { DEVICES, MAJOR, MINOR, THREADS, SYNC_MS, STRICT_CONTEXT, VERSION, PATIENCE, PTX };
static long long memory_limit = 1LL << 30, memory_used;
static long long live[8];
enum { MEMORY, PINNED, EVENTS, STREAMS, MODULES, GRAPHS, EXECS, CONTEXTS };
static struct { char name[64]; int skip, code; } failure;

/* ---- what tests ask ---- */

static const char *const live_names[] = { "memory", "pinned", "event", "stream", "module", "graph", "exec", "context" };
static const char *const setting_names[] = { "devices", "major", "minor", "threads", "syncMs", "strictContext", "version",
                                             "patience", "ptx" };

long long fake_live(const char *name) {
  for (int i = 0; i < 8; i++) if (strcmp(name, live_names[i]) == 0) return live[i];
  return -1;
}
void fake_set(const char *name, long long value) {
  if (strcmp(name, "memory") == 0) memory_limit = value;
  for (int i = 0; i < 9; i++) if (strcmp(name, setting_names[i]) == 0) settings[i] = (int)value;
}
/* The call of that name fails with `code` after `skip` calls went well. */
void fake_fail(const char *name, int skip, int code) {
  snprintf(failure.name, sizeof failure.name, "%s", name);
  failure.skip = skip;
  failure.code = code;
}
/* Whether the failure asked for has not happened. */
int fake_waiting(void) { return failure.name[0] != 0; }
/* The kernel launched after `launches` others ends in `code`, as it runs. */
void fake_fault(int launches, int code) { launches_until_fault = launches; fault_code = code; }
void fake_heal(void) { sticky = 0; launches_until_fault = -1; failure.name[0] = 0; }
const char *fake_journal(void) { return journal ? journal : ""; }
void fake_forget(void) { journal_length = 0; if (journal) journal[0] = 0; }

/* ---- the machinery ---- */

static void note(const char *name) {
  size_t length = strlen(name);
  if (journal_length + length + 2 > journal_room) {
    journal_room = 2 * (journal_room + length + 2);
    journal = realloc(journal, journal_room);
  }
  memcpy(journal + journal_length, name, length);
  journal_length += length;
  journal[journal_length++] = ' ';
  journal[journal_length] = 0;
}

static int begin(const char *name, int needs_context) {
  pthread_mutex_lock(&lock);
  note(name);
  if (failure.name[0] && strcmp(failure.name, name) == 0 && failure.skip-- <= 0) {
    failure.name[0] = 0;
    return failure.code;
  }
  if (sticky) return sticky;
  if (needs_context && current != &context) return INVALID_CONTEXT;
  return (CUresult)OK;
}
static CUresult end(int code) {
  pthread_mutex_unlock(&lock);
  return (CUresult)code;
}
#define BEGIN(needs_context) int code = begin(__func__, needs_context); if (code) return end(code)

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static int inside(const void *start, size_t bytes, int pinned) {
  for (Block *b = blocks; b; b = b->next)
    if (b->pinned == pinned && (const char *)start >= b->start && (const char *)start + bytes <= b->start + b->bytes) return 1;
  return 0;
}
static void *take(size_t bytes, int pinned) {
  Block *b = malloc(sizeof *b);
  b->start = aligned_alloc(256, (bytes + 255) / 256 * 256);
  b->bytes = bytes;
  b->pinned = pinned;
  b->next = blocks;
  blocks = b;
  memset(b->start, 0xCD, bytes);
  live[pinned ? PINNED : MEMORY]++;
  if (!pinned) memory_used += bytes;
  return b->start;
}
static int drop(void *start, int pinned) {
  for (Block **p = &blocks; *p; p = &(*p)->next) {
    Block *b = *p;
    if (b->start != (char *)start || b->pinned != pinned) continue;
    *p = b->next;
    live[pinned ? PINNED : MEMORY]--;
    if (!pinned) memory_used -= b->bytes;
    memset(b->start, 0xDD, b->bytes);
    free(b->start);
    free(b);
    return OK;
  }
  return INVALID_VALUE;
}

static void push(Ops *ops, Op op) {
  if (ops->count == ops->room) ops->list = realloc(ops->list, (ops->room = 2 * ops->room + 8) * sizeof(Op));
  ops->list[ops->count++] = op;
}
static CUresult enqueue(CUstream stream, Op op) {
  push(stream->capturing ? &stream->captured : &stream->queue, op);
  return (CUresult)OK;
}
/* A kernel of the host check, which says what is wrong with it: that is an error inside a kernel. */
static int run_checked(const Op *op) {
  CUfunction f = op->function;
  void *pointers[64];
  int dims[64];
  char message[256];
  for (int i = 0; i < f->pointers; i++) memcpy(&pointers[i], op->params[i], sizeof(void *));
  for (int i = 0; i < f->dims; i++) memcpy(&dims[i], op->params[f->pointers + i], sizeof(int));
  if (f->module->checked(f->launch, (int)op->grid, (int)op->block, pointers, dims, message) == 0) return OK;
  fprintf(stderr, "fake driver: %s\n", message);
  return ILLEGAL_ADDRESS;
}
static int perform(Op *op) {
  switch (op->kind) {
    case COPY:
      if (!inside(op->to, op->bytes, 0) && !inside(op->from, op->bytes, 0)) return ILLEGAL_ADDRESS;
      memcpy(op->to, op->from, op->bytes);
      return OK;
    case FILL:
      if (!inside(op->to, op->bytes, 0)) return ILLEGAL_ADDRESS;
      memset(op->to, op->value, op->bytes);
      return OK;
    case LAUNCH:
      if (launches_until_fault >= 0 && launches_until_fault-- == 0) return fault_code;
      if (op->function->kernel) op->function->kernel(op->grid, op->block, op->params);
      return op->function->module->checked ? run_checked(op) : OK;
    default:
      op->event->pending--;
      op->event->at = now();
      return OK;
  }
}
/* Does what the stream has been given, up to and including the next record of `until`, or all of it. */
static int drain(CUstream stream, CUevent until) {
  Ops *queue = &stream->queue;
  size_t done = 0;
  while (done < queue->count && !sticky) {
    Op *op = &queue->list[done++];
    sticky = perform(op);
    if (until && op->kind == RECORD && op->event == until && until->pending == 0) break;
  }
  memmove(queue->list, queue->list + done, (queue->count - done) * sizeof(Op));
  queue->count -= done;
  return sticky;
}
static int drain_all(void) {
  for (int i = 0; i < 16; i++) if (streams[i]) drain(streams[i], NULL);
  return sticky;
}
static int capturing(void) {
  for (int i = 0; i < 16; i++) if (streams[i] && streams[i]->capturing) return 1;
  return 0;
}
static int known_stream(CUstream stream) {
  for (int i = 0; i < 16; i++) if (stream && streams[i] == stream) return 1;
  return 0;
}

/* As a new process finds it. What the last one left behind is gone, handles and all. */
void fake_restart(void) {
  while (blocks) drop(blocks->start, blocks->pinned);
  memset(streams, 0, sizeof streams);
  memset(live, 0, sizeof live);
  memory_used = retained = 0;
  current = NULL;
  fake_heal();
  fake_forget();
}

/* ---- the driver's own calls ---- */

CUresult cuGetErrorName(CUresult error, const char **text) {
  static const struct { int code; const char *name; } names[] = {
    { 1, "CUDA_ERROR_INVALID_VALUE" }, { 2, "CUDA_ERROR_OUT_OF_MEMORY" }, { 100, "CUDA_ERROR_NO_DEVICE" },
    { 201, "CUDA_ERROR_INVALID_CONTEXT" }, { 218, "CUDA_ERROR_INVALID_PTX" }, { 500, "CUDA_ERROR_NOT_FOUND" },
    { 700, "CUDA_ERROR_ILLEGAL_ADDRESS" }, { 701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES" }, { 719, "CUDA_ERROR_LAUNCH_FAILED" },
    { 900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" }, { 999, "CUDA_ERROR_UNKNOWN" } };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].code == (int)error) { *text = names[i].name; return (CUresult)OK; }
  *text = NULL;
  return (CUresult)INVALID_VALUE;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
  if (cuGetErrorName(error, text) != (CUresult)OK) return (CUresult)INVALID_VALUE;
  *text = error == (CUresult)700 ? "an illegal memory access was encountered" : "as the fake driver was told";
  return (CUresult)OK;
}
CUresult cuInit(unsigned flags) {
  (void)flags;
  BEGIN(0);
  return end(settings[DEVICES] == 0 ? NO_DEVICE : OK);
}
CUresult cuDriverGetVersion(int *version) { BEGIN(0); *version = settings[VERSION]; return end(OK); }
CUresult cuDeviceGetCount(int *count) { BEGIN(0); *count = settings[DEVICES]; return end(OK); }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  BEGIN(0);
  if (ordinal < 0 || ordinal >= settings[DEVICES]) return end(INVALID_DEVICE);
  *device = ordinal;
  return end(OK);
}
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  BEGIN(0);
  snprintf(name, length, "Fake GPU %d", device);
  return end(OK);
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) { (void)device; BEGIN(0); *bytes = memory_limit; return end(OK); }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which, CUdevice device) {
  (void)device;
  BEGIN(0);
  switch ((int)which) {
    case 1: *value = 1024; break;
    case 5: *value = 0x7fffffff; break;
    case 8: *value = 48 * 1024; break;
    case 10: *value = 32; break;
    case 13: *value = 1980000; break;
    case 16: *value = 132; break;
    case 36: *value = 2619000; break;
    case 37: *value = 5120; break;
    case 38: *value = 50 << 20; break;
    case 75: *value = settings[MAJOR]; break;
    case 76: *value = settings[MINOR]; break;
    case 97: *value = 227 * 1024; break;
    default: return end(INVALID_VALUE);
  }
  return end(OK);
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice device) {
  BEGIN(0);
  context.device = device;
  retained++;
  live[CONTEXTS]++;
  *out = &context;
  return end(OK);
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  (void)device;
  BEGIN(0);
  if (retained == 0) return end(INVALID_CONTEXT);
  retained--;
  live[CONTEXTS]--;
  return end(OK);
}
CUresult cuCtxSetCurrent(CUcontext wanted) {
  BEGIN(0);
  if (retained == 0) return end(INVALID_CONTEXT);
  current = wanted;
  return end(OK);
}
CUresult cuMemGetInfo_v2(size_t *available, size_t *total) {
  BEGIN(1);
  *available = memory_limit - memory_used;
  *total = memory_limit;
  return end(OK);
}
CUresult cuMemAlloc_v2(CUdeviceptr *out, size_t bytes) {
  BEGIN(1);
  if (capturing()) return end(CAPTURE_UNSUPPORTED);
  if (bytes == 0) return end(INVALID_VALUE);
  if (memory_used + (long long)bytes > memory_limit) return end(NO_MEMORY);
  *out = (CUdeviceptr)(uintptr_t)take(bytes, 0);
  return end(OK);
}
CUresult cuMemFree_v2(CUdeviceptr pointer) {
  BEGIN(1);
  if (capturing()) return end(CAPTURE_UNSUPPORTED);
  if (drain_all()) return end(sticky);
  return end(drop((void *)(uintptr_t)pointer, 0));
}
CUresult cuMemAllocHost_v2(void **out, size_t bytes) {
  BEGIN(1);
  if (capturing()) return end(CAPTURE_UNSUPPORTED);
  *out = take(bytes, 1);
  return end(OK);
}
CUresult cuMemFreeHost(void *pointer) { BEGIN(1); if (drain_all()) return end(sticky); return end(drop(pointer, 1)); }

static CUresult copy(const char *name, void *to, const void *from, const void *host, const void *device, size_t bytes,
                     CUstream stream) {
  int code = begin(name, 1);
  if (code) return end(code);
  if (!known_stream(stream)) return end(INVALID_HANDLE);
  if (!inside(host, bytes, 1) || !inside(device, bytes, 0)) return end(INVALID_VALUE);
  return end(enqueue(stream, (Op){ .kind = COPY, .to = to, .from = from, .bytes = bytes }));
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  return copy(__func__, (void *)(uintptr_t)to, from, from, (void *)(uintptr_t)to, bytes, stream);
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy(__func__, to, (void *)(uintptr_t)from, to, (void *)(uintptr_t)from, bytes, stream);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
  BEGIN(1);
  if (!known_stream(stream)) return end(INVALID_HANDLE);
  if (!inside((void *)(uintptr_t)to, bytes, 0)) return end(INVALID_VALUE);
  return end(enqueue(stream, (Op){ .kind = FILL, .to = (void *)(uintptr_t)to, .value = value, .bytes = bytes }));
}
CUresult cuStreamCreate(CUstream *out, unsigned flags) {
  (void)flags;
  BEGIN(1);
  for (int i = 0; i < 16; i++)
    if (!streams[i]) {
      *out = streams[i] = calloc(1, sizeof *streams[i]);
      live[STREAMS]++;
      return end(OK);
    }
  return end(NO_MEMORY);
}
CUresult cuStreamDestroy_v2(CUstream stream) {
  BEGIN(1);
  for (int i = 0; i < 16; i++)
    if (stream && streams[i] == stream) {
      drain(stream, NULL);
      streams[i] = NULL;
      free(stream->queue.list);
      free(stream);
      live[STREAMS]--;
      return end(sticky);
    }
  return end(INVALID_HANDLE);
}
CUresult cuStreamSynchronize(CUstream stream) {
  BEGIN(1);
  if (!known_stream(stream)) return end(INVALID_HANDLE);
  if (stream->capturing) return end(CAPTURE_UNSUPPORTED);
  return end(drain(stream, NULL));
}
CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  (void)mode;
  BEGIN(1);
  if (!known_stream(stream) || stream->capturing) return end(INVALID_VALUE);
  stream->capturing = 1;
  stream->captured = (Ops){ 0 };
  return end(OK);
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *out) {
  int code = begin(__func__, 1);
  if (code) {
    /* A capture that went wrong is over too. */
    if (known_stream(stream)) stream->capturing = 0;
    return end(code);
  }
  if (!known_stream(stream) || !stream->capturing) return end(INVALID_VALUE);
  stream->capturing = 0;
  *out = malloc(sizeof **out);
  (*out)->ops = stream->captured;
  live[GRAPHS]++;
  return end(OK);
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph, unsigned long long flags) {
  (void)flags;
  BEGIN(1);
  *out = calloc(1, sizeof **out);
  for (size_t i = 0; i < graph->ops.count; i++) push(&(*out)->ops, graph->ops.list[i]);
  live[EXECS]++;
  return end(OK);
}
CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  BEGIN(1);
  if (!known_stream(stream)) return end(INVALID_HANDLE);
  for (size_t i = 0; i < exec->ops.count; i++) enqueue(stream, exec->ops.list[i]);
  return end(OK);
}
CUresult cuGraphExecDestroy(CUgraphExec exec) {
  BEGIN(1);
  drain_all();
  free(exec->ops.list);
  free(exec);
  live[EXECS]--;
  return end(sticky);
}
CUresult cuGraphDestroy(CUgraph graph) {
  BEGIN(1);
  free(graph->ops.list);
  free(graph);
  live[GRAPHS]--;
  return end(OK);
}
CUresult cuEventCreate(CUevent *out, unsigned flags) {
  BEGIN(1);
  *out = calloc(1, sizeof **out);
  (*out)->timing = (flags & 2) == 0;
  live[EVENTS]++;
  return end(OK);
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  BEGIN(1);
  if (!known_stream(stream)) return end(INVALID_HANDLE);
  event->pending++;
  impatience_left = settings[PATIENCE];
  return end(enqueue(stream, (Op){ .kind = RECORD, .event = event }));
}
static int reach(CUevent event) {
  for (int i = 0; i < 16 && event->pending > 0 && !sticky; i++) if (streams[i]) drain(streams[i], event);
  return sticky;
}
CUresult cuEventQuery(CUevent event) {
  BEGIN(1);
  if (event->pending == 0) return end(OK);
  if (impatience_left > 0) { impatience_left--; return end(NOT_READY); }
  return end(reach(event));
}
CUresult cuEventSynchronize(CUevent event) {
  BEGIN(settings[STRICT_CONTEXT]);
  int wait = settings[SYNC_MS];
  if (wait > 0 && event->pending > 0) {
    pthread_mutex_unlock(&lock);
    usleep(wait * 1000);
    pthread_mutex_lock(&lock);
  }
  return end(reach(event));
}
CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
  BEGIN(1);
  if (!from->timing || !to->timing) return end(INVALID_HANDLE);
  if (from->pending || to->pending) return end(NOT_READY);
  *milliseconds = (float)(to->at - from->at);
  return end(OK);
}
CUresult cuEventDestroy_v2(CUevent event) {
  BEGIN(1);
  if (event->pending) reach(event);
  free(event);
  live[EVENTS]--;
  return end(sticky);
}

static size_t image_length(const char *image) {
  if (memcmp(image, "\177ELF", 4) != 0) return strlen(image);
  uint64_t sections;
  uint16_t size, count;
  memcpy(&sections, image + 0x28, 8);
  memcpy(&size, image + 0x3a, 2);
  memcpy(&count, image + 0x3c, 2);
  uint64_t headers;
  uint16_t header_size, header_count;
  memcpy(&headers, image + 0x20, 8);
  memcpy(&header_size, image + 0x36, 2);
  memcpy(&header_count, image + 0x38, 2);
  uint64_t a = sections + (uint64_t)size * count, b = headers + (uint64_t)header_size * header_count;
  return a > b ? a : b;
}
CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned count, CUjit_option *options, void **values) {
  BEGIN(1);
  const char *text = image;
  void *library = NULL;
  Checked checked = NULL;
  const char *complaint = NULL;
  int simple = strncmp(text, "HOST-LIBRARY ", 13) == 0, module = strncmp(text, "HOST-MODULE ", 12) == 0;
  if (simple || module) {
    char path[4096];
    if (sscanf(strchr(text, ' '), " %4095s", path) == 1) library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library && module) checked = (Checked)dlsym(library, "espalier_run");
    if (!library || (module && !checked)) complaint = dlerror();
  } else if (memcmp(text, "\177ELF", 4) != 0 && !strstr(text, ".version"))
    complaint = "ptxas application ptx input, line 1; fatal : Missing .version directive";
  const char *version = strstr(text, ".version ");
  int language = 0, dialect = 0;
  if (!complaint && !library && version && sscanf(version, ".version %d.%d", &language, &dialect) == 2)
    if (10 * language + dialect > settings[PTX]) return end(UNSUPPORTED_PTX_VERSION);
  if (complaint) {
    char *log = NULL;
    size_t room = 0;
    for (unsigned i = 0; i < count; i++) {
      if ((int)options[i] == 5) log = values[i];
      if ((int)options[i] == 6) room = (size_t)values[i];
    }
    if (log) snprintf(log, room, "%s", complaint);
    return end(INVALID_PTX);
  }
  *out = malloc(sizeof **out);
  (*out)->library = library;
  (*out)->checked = checked;
  (*out)->length = image_length(text);
  (*out)->image = malloc((*out)->length + 1);
  memcpy((*out)->image, text, (*out)->length);
  (*out)->image[(*out)->length] = 0;
  live[MODULES]++;
  return end(OK);
}
CUresult cuModuleUnload(CUmodule module) {
  BEGIN(1);
  drain_all();
  if (module->library) dlclose(module->library);
  free(module->image);
  free(module);
  live[MODULES]--;
  return end(sticky);
}
CUresult cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name) {
  BEGIN(1);
  struct CUfunc_st found = { .module = module };
  if (module->checked) {
    char line[128];
    const char *at = module->image;
    for (;; found.launch++) {
      at = strchr(at, '\n');
      if (!at || sscanf(++at, "%127s %d %d", line, &found.pointers, &found.dims) != 3) return end(NOT_FOUND);
      if (strcmp(line, name) == 0) break;
    }
  } else if (module->library) {
    found.kernel = (Kernel)dlsym(module->library, name);
    if (!found.kernel) return end(NOT_FOUND);
  } else {
    char wanted[256];
    int elf = memcmp(module->image, "\177ELF", 4) == 0;
    int length = snprintf(wanted, sizeof wanted, elf ? ".text.%s" : ".entry %s(", name);
    if (!memmem(module->image, module->length, wanted, length + elf)) return end(NOT_FOUND);
  }
  *out = malloc(sizeof found);
  **out = found;
  return end(OK);
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute which, CUfunction function) {
  (void)function;
  BEGIN(1);
  *value = (int)which == 0 ? settings[THREADS] : (int)which == 4 ? 42 : 0;
  return end(OK);
}
CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, CUstream stream, void **params, void **extra) {
  BEGIN(1);
  if (!known_stream(stream)) return end(INVALID_HANDLE);
  if (gx == 0 || gy != 1 || gz != 1 || bx == 0 || by != 1 || bz != 1 || shared != 0 || extra) return end(INVALID_VALUE);
  return end(enqueue(stream, (Op){ .kind = LAUNCH, .function = function, .grid = gx, .block = bx, .params = params }));
}
