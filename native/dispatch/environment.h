// The engine of one JavaScript environment on one device: its buffers, its stream, and the one door every op call goes through.
//
// A handle is the identity of a tensor's data as JavaScript sees it; a storage is a value. Several handles may refer to one
// storage (clone, reshape, leading slices); while they do, the storage is immutable: an in-place op first gives its handle a
// copy of its own. Used by the environment's JavaScript thread only.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cpu/host_allocator.h"
#include "dispatch/stream.h"

namespace tk {

using HandleId = int32_t;
constexpr HandleId kNewHandle = -1;

// One operand of a call at the door. For `out` operands the handle is kNewHandle and is filled in by dispatch.
struct CallOperand {
  HandleId handle = kNewHandle;
  DType dtype = DType::f32;
  uint8_t rank = 0;
  int64_t dims[kMaxRank] = {};
};

struct CallRequest {
  uint16_t op = 0;
  std::vector<CallOperand> operands;
  std::vector<int64_t> ints;
  std::vector<double> floats;
};

// Number of elements; throws E_SHAPE on a negative dimension or when the product passes 2^53.
int64_t count_elements(const int64_t* dims, int rank);
std::string shape_text(const int64_t* dims, int rank);

// Sees everything that passes the door; the recorder is the one implementation. Called after the action took effect.
class DoorObserver {
 public:
  virtual ~DoorObserver() = default;
  virtual void on_call(const CallRequest& request) = 0;
  virtual void on_create(HandleId handle, DType dtype, const void* bytes, int64_t size) = 0;
  virtual void on_alias(HandleId source, HandleId result, int64_t offset, int64_t count) = 0;
  virtual void on_assign(HandleId target, HandleId source) = 0;
  // Called before the action: throws E_RECORDING when a replay could not repeat it.
  virtual void before_read(HandleId handle) = 0;
  virtual void before_write(HandleId handle) = 0;
};

class Environment {
 public:
  // device: where this environment's tensors live; null for the CPU.
  explicit Environment(std::unique_ptr<Device> device = nullptr);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  HandleId create(DType dtype, const void* bytes, int64_t size);
  // Copies `bytes` before it returns. `size` must be the handle's.
  void write(HandleId handle, const void* bytes, int64_t size);
  // target: size elements of the handle's dtype, or of float for f16 and bf16.
  void read_sync(HandleId handle, void* target, int64_t size);
  void read(HandleId handle, void* target, int64_t size, std::unique_ptr<Completion> completion);
  // Elements [offset, offset + count) of the handle's; throws E_INTERNAL when they are not all there.
  HandleId alias(HandleId handle, int64_t offset, int64_t count);
  void assign(HandleId target, HandleId source);
  void retain(HandleId handle);
  void release(HandleId handle);  // nothing after close(), which has freed everything

  // The one door. Checks the call against ops.def and the handles' sizes, copies shared in-place operands, allocates outputs
  // and workspace, enqueues, tells the observer. Fills in the handles of `out` operands.
  // Throws E_INTERNAL for calls that break the table's promises, E_DISPOSED for dead handles, E_OUT_OF_MEMORY.
  void dispatch(CallRequest& request);

  // Enqueues a program on its externals, in the program's order; kNewHandle for one that no call uses. Buffers that it writes
  // get a storage of their own first when they share one. Returns one new handle per output of the program, owned by the
  // caller; the arena is taken for this run only, so all programs of an environment share its memory. Not seen by the observer.
  // Throws E_INTERNAL when an external's size is not what the program was made for, E_DISPOSED, E_OUT_OF_MEMORY; nothing is
  // enqueued then.
  std::vector<HandleId> run_program(const std::shared_ptr<const Program>& program, const std::vector<HandleId>& externals);
  // Scratch bytes a call needs, on this environment's device, with as many threads.
  int64_t workspace_of(const OpCall& call, int num_threads) const;
  bool on_device() const { return device_ != nullptr; }

  // Waits for everything enqueued; throws the first error reported.
  void sync();
  // Tells `completion` when everything enqueued so far has run.
  void settle(std::unique_ptr<Completion> completion);
  // Cancels what is queued, waits for the running call, frees all buffers. Every later call throws E_CLOSED.
  void close();

  DType dtype_of(HandleId handle) const { return entry(handle).dtype; }
  int64_t size_of(HandleId handle) const { return entry(handle).size; }
  // Handles that refer to the same storage as this one, itself included.
  int32_t sharers_of(HandleId handle) const { return entry(handle).storage->refs; }

  void set_observer(DoorObserver* observer) { observer_ = observer; }
  DoorObserver* observer() const { return observer_; }

  int64_t trim();
  // Sets the limit of the process. Below what is held, waits for the queue and gives the cache back first.
  // Throws E_OUT_OF_MEMORY, and changes nothing, when what is still held would pass it.
  void set_memory_limit(int64_t bytes);
  MemoryUse memory() const;
  int64_t live_bytes() const { return device_ == nullptr ? allocator_.live_bytes() : device_->memory().live; }
  void reset_peak();
  int64_t living_handles() const { return living_; }
  uint64_t copies_on_write() const { return copies_on_write_; }
  const Stream& stream() const { return stream_; }

  // Keeps a record of every call that is enqueued from now on.
  void begin_profile();
  // Waits for everything enqueued and gives the records in the order of running; none when no profile was begun.
  std::vector<ProfileRecord> end_profile();

 private:
  struct Storage {
    Block* block = nullptr;
    int32_t refs = 0;
  };
  struct Entry {
    Storage* storage = nullptr;
    int64_t offset = 0;  // bytes
    int64_t size = 0;    // elements
    DType dtype = DType::f32;
    int32_t refs = 0;  // 0: free
    uint32_t generation = 0;
    void* data() const { return static_cast<char*>(storage->block->data) + offset; }
  };

  const Entry& entry(HandleId handle) const;
  Entry& entry(HandleId handle) { return const_cast<Entry&>(std::as_const(*this).entry(handle)); }
  HandleId new_handle(Storage* storage, int64_t offset, int64_t size, DType dtype);
  void drop_storage(Storage* storage);
  Storage* new_storage(int64_t bytes, const char* what, const int64_t* dims, int rank);
  Block* allocate(int64_t bytes);
  Block* take_block(int64_t bytes);
  void give_back(Block* block);
  // Allocates outputs, unshares in-place operands, fills the command's operands.
  void prepare_operands(CallRequest& request, const OpInfo& info, Command& command);
  void check_request(const CallRequest& request, const OpInfo& info, int star_count) const;
  // Whether there is a kernel for the 16-bit operands of a request, beyond the dtypes of ops.def.
  bool takes_half(const CallRequest& request) const;
  // Gives the handle a storage of its own; keep: with the present content.
  void make_writable(HandleId handle, bool keep, const char* what);
  void enqueue_copy(const Entry& from, const Entry& to);
  void enqueue_write(Entry& target, const void* bytes);

  HostAllocator allocator_;               // outlives the stream, which may still run calls on its blocks
  const std::unique_ptr<Device> device_;  // likewise
  std::unique_ptr<Profile> profile_;      // likewise
  Stream stream_;
  std::vector<Entry> entries_;
  std::deque<int32_t> free_entries_;  // longest free first
  int64_t living_ = 0;
  uint64_t copies_on_write_ = 0;
  DoorObserver* observer_ = nullptr;
  bool closed_ = false;
};

}  // namespace tk
