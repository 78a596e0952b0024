#include "dispatch/environment.h"

#include <algorithm>
#include <cstring>

#include "cpu/thread_pool.h"
#include "dispatch/cost.h"
#include "dispatch/half_operands.h"
#include "dispatch/op_scope.h"

namespace tk {
namespace {

constexpr int kIndexBits = 24;
constexpr uint32_t kGenerationMask = 0x7f;
// An entry waits until so many are free before it is used again, so that a stale handle is noticed for
// kMinFreeEntries * 128 further handles.
constexpr size_t kMinFreeEntries = 1024;
constexpr int64_t kMaxExactInteger = int64_t(1) << 53;
constexpr char kDtypeLetters[kNumDTypes + 1] = "fibhg";  // in the order of DType: f32 i32 u8 f16 bf16

// Calls visit(spec, position) for every operand of a call, groups spelled out, in order.
template <class Visit>
void for_each_operand(const OpInfo& info, int star_count, const Visit& visit) {
  size_t position = 0;
  for (const OperandSpec& spec : info.operands) {
    for (int i = 0; i < (spec.star ? star_count : 1); ++i) visit(spec, position++);
  }
}

bool has_all_operands(const OpInfo& info, const CallRequest& request, int star_count) {
  return info.num_fixed + info.num_starred * star_count == int(request.operands.size()) &&
         (info.num_starred == 0 || star_count > 0);
}

bool dtypes_match(const OpInfo& info, const CallRequest& request, int star_count) {
  for (const std::string& alternative : info.dtypes) {
    size_t position = 0;
    bool match = true;
    for (size_t spec = 0; spec < info.operands.size() && match; ++spec) {
      const int count = info.operands[spec].star ? star_count : 1;
      for (int i = 0; i < count && match; ++i, ++position) {
        const char letter = alternative[spec];
        match = letter == '?' || letter == kDtypeLetters[int(request.operands[position].dtype)];
      }
    }
    if (match) return true;
  }
  return false;
}

std::string operands_text(const CallRequest& request) {
  std::string text;
  for (const CallOperand& operand : request.operands) {
    text += (text.empty() ? "" : ", ") + std::string(dtype_name(operand.dtype)) + shape_text(operand.dims, operand.rank);
  }
  return text;
}

[[noreturn]] void fail_call(const OpInfo& info, const std::string& problem, const CallRequest& request) {
  throw Error("E_INTERNAL", "[" + info.name + "] " + problem + ", got (" + operands_text(request) + ")");
}

}  // namespace

int64_t count_elements(const int64_t* dims, int rank) {
  int64_t size = 1;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] < 0) throw Error("E_SHAPE", "negative dimension in shape " + shape_text(dims, rank));
    if (dims[i] != 0 && size > kMaxExactInteger / dims[i]) {
      throw Error("E_SHAPE", "too many elements: the product of shape " + shape_text(dims, rank) + " passes 2^53");
    }
    size *= dims[i];
  }
  return size;
}

std::string shape_text(const int64_t* dims, int rank) {
  std::string text = "[";
  for (int i = 0; i < rank; ++i) text += (i == 0 ? "" : ",") + std::to_string(dims[i]);
  return text + "]";
}

Environment::Environment(std::unique_ptr<Device> device) : device_(std::move(device)), stream_(active_level(), device_.get()) {}

Environment::~Environment() { close(); }

const Environment::Entry& Environment::entry(HandleId handle) const {
  const uint32_t index = uint32_t(handle) & ((1u << kIndexBits) - 1);
  const uint32_t generation = uint32_t(handle) >> kIndexBits;
  if (closed_) throw Error("E_CLOSED", "the engine of this environment has been closed");
  if (handle < 0 || index >= entries_.size() || entries_[index].refs == 0 || entries_[index].generation != generation) {
    throw Error("E_DISPOSED", "buffer " + std::to_string(handle) + " has been disposed");
  }
  return entries_[index];
}

HandleId Environment::new_handle(Storage* storage, int64_t offset, int64_t size, DType dtype) {
  uint32_t index;
  if (free_entries_.size() < kMinFreeEntries && entries_.size() < size_t(1) << kIndexBits) {
    index = uint32_t(entries_.size());
    entries_.emplace_back();
  } else {
    if (free_entries_.empty()) throw Error("E_OUT_OF_MEMORY", "more than 16 million living tensors");
    index = uint32_t(free_entries_.front());
    free_entries_.pop_front();
  }
  Entry& created = entries_[index];
  created.storage = storage;
  created.offset = offset;
  created.size = size;
  created.dtype = dtype;
  created.refs = 1;
  ++storage->refs;
  ++living_;
  return HandleId(index | created.generation << kIndexBits);
}

void Environment::drop_storage(Storage* storage) {
  if (--storage->refs > 0) return;
  give_back(storage->block);
  delete storage;
}

Block* Environment::take_block(int64_t bytes) {
  if (device_ == nullptr) return allocator_.allocate(bytes);
  void* data = device_->allocate(bytes);
  return data == nullptr ? nullptr : new Block{data, bytes, 0};
}

void Environment::give_back(Block* block) {
  if (device_ == nullptr) return allocator_.free(block, stream_.enqueued());
  device_->free(block->data);
  delete block;
}

Block* Environment::allocate(int64_t bytes) {
  if (closed_) throw Error("E_CLOSED", "the engine of this environment has been closed");
  forbid_inside_op("allocate");
  Block* block = take_block(bytes);
  if (block != nullptr) return block;
  if (device_ != nullptr) {
    // Cached segments may only go once nothing queued uses them.
    stream_.wait_idle();
    device_->trim();
    return take_block(bytes);
  }
  // Give back what is cached and no longer in use; then what becomes free once the queue has run.
  allocator_.trim(stream_.completed());
  block = allocator_.allocate(bytes);
  if (block != nullptr) return block;
  stream_.wait_idle();
  allocator_.trim(stream_.completed());
  return allocator_.allocate(bytes);
}

Environment::Storage* Environment::new_storage(int64_t bytes, const char* what, const int64_t* dims, int rank) {
  Block* block = allocate(bytes);
  if (block == nullptr) {
    const MemoryUse use = memory();
    const int64_t held = device_ == nullptr ? MemoryBudget::instance().held() : use.live + use.cached;
    throw Error("E_OUT_OF_MEMORY", "[" + std::string(what) + "] out of " + (device_ == nullptr ? "" : "device ") +
                                       "memory for shape " + shape_text(dims, rank) + ": asked " + std::to_string(bytes) +
                                       " bytes, held " + std::to_string(held) + " of a budget of " +
                                       std::to_string(use.budget) + " bytes. Dispose tensors, use smaller batches, or raise " +
                                       (device_ == nullptr ? "TENSORKILN_MEMORY_LIMIT." : "TENSORKILN_CUDA_MEMORY_LIMIT."));
  }
  auto* storage = new Storage;
  storage->block = block;
  return storage;
}

void Environment::enqueue_write(Entry& target, const void* bytes) {
  const int64_t size = target.size * dtype_bytes(target.dtype);
  if (size == 0) return;
  if (device_ == nullptr && stream_.completed() == stream_.enqueued()) {
    std::memcpy(target.data(), bytes, size_t(size));
    return;
  }
  std::unique_ptr<Command> command = stream_.new_command();
  command->kind = Command::Kind::write;
  command->staged.assign(static_cast<const uint8_t*>(bytes), static_cast<const uint8_t*>(bytes) + size);
  command->target = target.data();
  stream_.enqueue(std::move(command), size <= 65536);
}

HandleId Environment::create(DType dtype, const void* bytes, int64_t size) {
  Storage* storage = new_storage(size * dtype_bytes(dtype), "create", &size, 1);
  const HandleId handle = new_handle(storage, 0, size, dtype);
  // A block whose last user has run can be filled here and now; otherwise the copy takes its turn.
  if (device_ == nullptr && storage->block->last_use <= stream_.completed()) {
    if (size > 0) std::memcpy(entry(handle).data(), bytes, size_t(size * dtype_bytes(dtype)));
  } else {
    enqueue_write(entry(handle), bytes);
  }
  if (observer_ != nullptr) observer_->on_create(handle, dtype, bytes, size);
  return handle;
}

void Environment::write(HandleId handle, const void* bytes, int64_t size) {
  TK_CHECK_EQ(size, entry(handle).size);
  if (observer_ != nullptr) observer_->before_write(handle);
  make_writable(handle, false, "write");
  enqueue_write(entry(handle), bytes);
}

void Environment::make_writable(HandleId handle, bool keep, const char* what) {
  if (entry(handle).storage->refs == 1) return;
  const Entry before = entry(handle);
  Storage* storage = new_storage(before.size * dtype_bytes(before.dtype), what, &before.size, 1);
  storage->refs = 1;
  Entry& target = entry(handle);
  target.storage = storage;
  target.offset = 0;
  ++copies_on_write_;
  if (keep && before.size > 0) enqueue_copy(before, target);
  drop_storage(before.storage);
}

void Environment::enqueue_copy(const Entry& from, const Entry& to) {
  std::unique_ptr<Command> command = stream_.new_command();
  command->kind = Command::Kind::call;
  command->op = op_number::copy;
  command->star_count = 0;
  command->operands.resize(2);
  // Bytes, whatever the storage dtype.
  for (int i = 0; i < 2; ++i) {
    const Entry& side = i == 0 ? from : to;
    Operand& operand = command->operands[size_t(i)];
    operand.data = side.data();
    operand.size = side.size * dtype_bytes(side.dtype);
    operand.dtype = DType::u8;
    operand.rank = 1;
    operand.dims[0] = operand.size;
#if TENSORKILN_CHECK_OPS
    command->blocks.push_back(side.storage->block);
#endif
  }
  const bool negligible = command->operands[0].size <= 32768;
  stream_.enqueue(std::move(command), negligible);
}

void Environment::read(HandleId handle, void* target, int64_t size, std::unique_ptr<Completion> completion) {
  const Entry& source = entry(handle);
  TK_CHECK_EQ(size, source.size);
  if (observer_ != nullptr) observer_->before_read(handle);
  std::unique_ptr<Command> command = stream_.new_command();
  command->kind = Command::Kind::read;
  command->source = source.data();
  command->source_dtype = source.dtype;
  command->target = target;
  command->size = size;
  command->completion = std::move(completion);
  stream_.enqueue(std::move(command), size <= 16384);
}

void Environment::read_sync(HandleId handle, void* target, int64_t size) {
  read(handle, target, size, nullptr);
  stream_.wait_idle();
  if (const std::optional<Error> error = stream_.take_error()) throw *error;
}

HandleId Environment::alias(HandleId handle, int64_t offset, int64_t count) {
  const Entry source = entry(handle);
  TK_CHECK(offset >= 0 && count >= 0 && count <= source.size && offset <= source.size - count);
  const HandleId result = new_handle(source.storage, source.offset + offset * dtype_bytes(source.dtype), count, source.dtype);
  if (observer_ != nullptr) observer_->on_alias(handle, result, offset, count);
  return result;
}

void Environment::assign(HandleId target, HandleId source) {
  const Entry from = entry(source);
  Entry& to = entry(target);
  TK_CHECK_EQ(from.size, to.size);
  TK_CHECK_EQ(int(from.dtype), int(to.dtype));
  Storage* const old = to.storage;
  ++from.storage->refs;
  to.storage = from.storage;
  to.offset = from.offset;
  drop_storage(old);
  if (observer_ != nullptr) observer_->on_assign(target, source);
}

void Environment::retain(HandleId handle) { ++entry(handle).refs; }

void Environment::release(HandleId handle) {
  if (closed_) return;
  Entry& released = entry(handle);
  if (--released.refs > 0) return;
  Storage* storage = released.storage;
  released.storage = nullptr;
  released.generation = (released.generation + 1) & kGenerationMask;
  free_entries_.push_back(handle & ((1 << kIndexBits) - 1));
  --living_;
  drop_storage(storage);
}

void Environment::check_request(const CallRequest& request, const OpInfo& info, int star_count) const {
  const auto count_fits = [](const AttrSpec& spec, size_t count) {
    return spec.open ? count + 1 >= spec.names.size() : count == spec.names.size();
  };
  if (!count_fits(info.ints, request.ints.size())) fail_call(info, "wrong number of integer attributes", request);
  if (!count_fits(info.floats, request.floats.size())) fail_call(info, "wrong number of float attributes", request);
  if (!has_all_operands(info, request, star_count)) fail_call(info, "wrong number of operands", request);
  if (!dtypes_match(info, request, star_count) && !takes_half(request)) fail_call(info, "dtypes not supported", request);
  for_each_operand(info, star_count, [&](const OperandSpec& spec, size_t position) {
    const CallOperand& operand = request.operands[position];
    if (spec.role == Role::out) {
      TK_CHECK_EQ(operand.handle, kNewHandle);
      return;
    }
    const Entry& held = entry(operand.handle);
    if (held.dtype != operand.dtype || held.size != count_elements(operand.dims, operand.rank)) {
      fail_call(
          info,
          "operand " + spec.name + " does not match its buffer of " + std::to_string(held.size) + " " + dtype_name(held.dtype),
          request);
    }
  });
}

bool Environment::takes_half(const CallRequest& request) const {
  if (!has_half(request)) return false;
  if (device_ == nullptr) return cpu_takes_half(request);
  std::vector<Operand> operands(request.operands.size());
  for (size_t i = 0; i < operands.size(); ++i) {
    const CallOperand& from = request.operands[i];
    Operand& to = operands[i];
    to.dtype = from.dtype, to.rank = from.rank;
    std::copy(from.dims, from.dims + from.rank, to.dims);
    to.size = count_elements(from.dims, from.rank);
  }
  OpCall call;
  call.op = request.op;
  call.operands = operands.data(), call.num_operands = int32_t(operands.size());
  call.ints = request.ints.data(), call.num_ints = int32_t(request.ints.size());
  call.floats = request.floats.data(), call.num_floats = int32_t(request.floats.size());
  return device_->takes_half(call);
}

void Environment::dispatch(CallRequest& request) {
  if (request.op >= op_number::kCount) throw Error("E_INTERNAL", "no op number " + std::to_string(request.op));
  const OpInfo& info = op_infos()[request.op];
  const int star_count = info.num_starred == 0 ? 0 : (int(request.operands.size()) - info.num_fixed) / info.num_starred;
  if (has_half(request) && has_all_operands(info, request, star_count) && !dtypes_match(info, request, star_count) &&
      !takes_half(request))
    return dispatch_widened(*this, request, info, star_count);
  check_request(request, info, star_count);
  const CpuOp& op = cpu_ops(stream_.level())[request.op];
  TK_CHECK(op.body != nullptr);
  if (device_ != nullptr && !device_->has_op(request.op)) {
    throw Error("E_KERNEL", "[" + info.name + "] " + device_->name() + " has no kernel for this op yet, got (" +
                                operands_text(request) + "). Move the tensors to 'tensorkiln-cpu' for it.");
  }

  // Everything that can fail for want of memory comes before anything is enqueued or handed out.
  std::unique_ptr<Command> command = stream_.new_command();
  command->kind = Command::Kind::call;
  command->op = request.op;
  command->star_count = star_count;
  command->num_threads = ThreadPool::instance().num_threads();
  command->operands.resize(request.operands.size());
  command->ints = request.ints;
  command->floats = request.floats;
  Storage* scratch = nullptr;
  try {
    prepare_operands(request, info, *command);
    if (device_ != nullptr || op.workspace != nullptr) {
      command->workspace_bytes =
          device_ != nullptr ? device_->workspace(command->view()) : op.workspace(command->view(), command->num_threads);
      if (command->workspace_bytes > 0) {
        scratch = new_storage(command->workspace_bytes, info.name.c_str(), &command->workspace_bytes, 1);
        scratch->refs = 1;
        command->workspace = scratch->block->data;
      }
    }
    const bool negligible =
        estimate_nanoseconds(info, command->operands.data(), int(command->operands.size())) < kNegligibleNanoseconds;
    stream_.enqueue(std::move(command), negligible);
  } catch (...) {
    if (scratch != nullptr) drop_storage(scratch);
    for_each_operand(info, star_count, [&](const OperandSpec& spec, size_t position) {
      CallOperand& operand = request.operands[position];
      if (spec.role != Role::out || operand.handle == kNewHandle) return;
      release(operand.handle);
      operand.handle = kNewHandle;
    });
    throw;
  }
  // Freed only now: its last use is the call just enqueued.
  if (scratch != nullptr) drop_storage(scratch);
  if (observer_ != nullptr) observer_->on_call(request);
}

int64_t Environment::workspace_of(const OpCall& call, int num_threads) const {
  if (device_ != nullptr) return device_->workspace(call);
  const CpuOp& op = cpu_ops(stream_.level())[call.op];
  return op.workspace == nullptr ? 0 : op.workspace(call, num_threads);
}

std::vector<HandleId> Environment::run_program(const std::shared_ptr<const Program>& program,
                                               const std::vector<HandleId>& externals) {
  TK_CHECK_EQ(externals.size(), program->written.size());
  for (size_t i = 0; i < externals.size(); ++i) {
    if (program->written[i]) make_writable(externals[i], true, "replay");
  }
  std::unique_ptr<Command> command = stream_.new_command();
  command->kind = Command::Kind::program;
  std::vector<HandleId> outputs;
  Storage* arena = nullptr;
  try {
    for (const ProgramBuffer& output : program->outputs) {
      Storage* storage = new_storage(output.size * dtype_bytes(output.dtype), "replay", &output.size, 1);
      outputs.push_back(new_handle(storage, 0, output.size, output.dtype));
    }
    if (program->arena_bytes > 0) {
      arena = new_storage(program->arena_bytes, "replay", &program->arena_bytes, 1);
      arena->refs = 1;
    }
    // Addresses last: making one buffer writable may have moved another.
    for (const std::vector<HandleId>* handles : {&externals, static_cast<const std::vector<HandleId>*>(&outputs)}) {
      for (HandleId handle : *handles) {
        if (handle == kNewHandle) {
          command->bases.push_back(nullptr);
          continue;
        }
        const Entry& held = entry(handle);
        command->bases.push_back(held.data());
#if TENSORKILN_CHECK_OPS
        command->blocks.push_back(held.storage->block);
#endif
      }
    }
    command->bases.push_back(arena == nullptr ? nullptr : arena->block->data);
#if TENSORKILN_CHECK_OPS
    if (arena != nullptr) command->blocks.push_back(arena->block);
#endif
    command->program = program;
    stream_.enqueue(std::move(command), program->nanoseconds < kNegligibleNanoseconds);
  } catch (...) {
    if (arena != nullptr) drop_storage(arena);
    for (HandleId handle : outputs) release(handle);
    throw;
  }
  // Freed only now: its last use is the program just enqueued.
  if (arena != nullptr) drop_storage(arena);
  return outputs;
}

void Environment::prepare_operands(CallRequest& request, const OpInfo& info, Command& command) {
  for_each_operand(info, command.star_count, [&](const OperandSpec& spec, size_t position) {
    CallOperand& asked = request.operands[position];
    if (spec.role == Role::inout) make_writable(asked.handle, true, info.name.c_str());
    if (spec.role == Role::out) {
      const int64_t size = count_elements(asked.dims, asked.rank);
      Storage* storage = new_storage(size * dtype_bytes(asked.dtype), info.name.c_str(), asked.dims, asked.rank);
      asked.handle = new_handle(storage, 0, size, asked.dtype);
    }
    Operand& operand = command.operands[position];
    operand.size = entry(asked.handle).size;
    operand.dtype = asked.dtype;
    operand.rank = asked.rank;
    std::copy(asked.dims, asked.dims + kMaxRank, operand.dims);
  });
  // Addresses last: making one operand writable may have moved another that the call names too.
  for (size_t position = 0; position < request.operands.size(); ++position) {
    const Entry& held = entry(request.operands[position].handle);
    command.operands[position].data = held.size > 0 ? held.data() : nullptr;
#if TENSORKILN_CHECK_OPS
    command.blocks.push_back(held.storage->block);
#endif
  }
}

void Environment::sync() {
  stream_.wait_idle();
  if (const std::optional<Error> error = stream_.take_error()) throw *error;
  if (device_ != nullptr) device_->wait();
}

void Environment::settle(std::unique_ptr<Completion> completion) {
  std::unique_ptr<Command> command = stream_.new_command();
  command->kind = Command::Kind::marker;
  command->completion = std::move(completion);
  stream_.enqueue(std::move(command), true);
}

void Environment::begin_profile() {
  if (profile_ == nullptr) profile_ = std::make_unique<Profile>();
  stream_.wait_idle();
  profile_->take();
  stream_.set_profile(profile_.get());
}

std::vector<ProfileRecord> Environment::end_profile() {
  if (profile_ == nullptr) return {};
  stream_.wait_idle();
  stream_.set_profile(nullptr);
  return profile_->take();
}

int64_t Environment::trim() {
  if (device_ == nullptr) return allocator_.trim(stream_.completed());
  stream_.wait_idle();
  return device_->trim();
}

MemoryUse Environment::memory() const {
  if (device_ != nullptr) return device_->memory();
  return {allocator_.live_bytes(), allocator_.cached_bytes(), allocator_.peak_bytes(), MemoryBudget::instance().limit()};
}

void Environment::reset_peak() { device_ == nullptr ? allocator_.reset_peak() : device_->reset_peak(); }

void Environment::set_memory_limit(int64_t bytes) {
  MemoryBudget& budget = MemoryBudget::instance();
  const auto held = [&] {
    if (device_ == nullptr) return budget.held();
    const MemoryUse use = device_->memory();
    return use.live + use.cached;
  };
  if (bytes < held()) {
    stream_.wait_idle();
    trim();
  }
  if (bytes < held()) {
    throw Error("E_OUT_OF_MEMORY", "the memory limit cannot be " + std::to_string(bytes) +
                                       " bytes: living tensors, and caches of other threads, hold " + std::to_string(held()) +
                                       ". Dispose tensors first.");
  }
  device_ == nullptr ? budget.set_limit(bytes) : device_->set_budget(bytes);
}

void Environment::close() {
  if (closed_) return;
  stream_.close();
  for (Entry& held : entries_) {
    if (held.refs == 0) continue;
    drop_storage(held.storage);
    held.refs = 0;
  }
  living_ = 0;
  device_ == nullptr ? allocator_.trim(UINT64_MAX) : device_->trim();
  closed_ = true;
}

}  // namespace tk
