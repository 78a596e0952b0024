// Every function of ts/native/addon.ts, by the file that holds it. Each is bound to the State of one engine.
#pragma once
#include <napi.h>

namespace tk {

// describe.cc
Napi::Value build_info(const Napi::CallbackInfo& info);
Napi::Value ops(const Napi::CallbackInfo& info);
Napi::Value argument_block(const Napi::CallbackInfo& info);

// calls.cc
Napi::Value enqueue(const Napi::CallbackInfo& info);
Napi::Value run_text_form(const Napi::CallbackInfo& info);

// buffers.cc
Napi::Value create(const Napi::CallbackInfo& info);
Napi::Value write(const Napi::CallbackInfo& info);
Napi::Value read_sync(const Napi::CallbackInfo& info);
Napi::Value read(const Napi::CallbackInfo& info);
Napi::Value alias(const Napi::CallbackInfo& info);
Napi::Value assign(const Napi::CallbackInfo& info);
Napi::Value retain(const Napi::CallbackInfo& info);
Napi::Value release(const Napi::CallbackInfo& info);
Napi::Value describe(const Napi::CallbackInfo& info);

// plans.cc
Napi::Value record_begin(const Napi::CallbackInfo& info);
Napi::Value record_end(const Napi::CallbackInfo& info);
Napi::Value record_abort(const Napi::CallbackInfo& info);
Napi::Value is_recording(const Napi::CallbackInfo& info);
Napi::Value plan_captures(const Napi::CallbackInfo& info);
Napi::Value plan_replay(const Napi::CallbackInfo& info);
Napi::Value plan_rebind(const Napi::CallbackInfo& info);
Napi::Value plan_text(const Napi::CallbackInfo& info);
Napi::Value plan_fingerprint(const Napi::CallbackInfo& info);
Napi::Value plan_optimize(const Napi::CallbackInfo& info);
Napi::Value plan_optimized_text(const Napi::CallbackInfo& info);
Napi::Value plan_dispose(const Napi::CallbackInfo& info);

// profile.cc
Napi::Value profile_begin(const Napi::CallbackInfo& info);
Napi::Value profile_end(const Napi::CallbackInfo& info);

// table.cc
Napi::Value count_line_ends_of(const Napi::CallbackInfo& info);
Napi::Value parse_plain_block_of(const Napi::CallbackInfo& info);
Napi::Value number_range(const Napi::CallbackInfo& info);
Napi::Value number_sum(const Napi::CallbackInfo& info);
Napi::Value number_squares(const Napi::CallbackInfo& info);
Napi::Value count_number_buckets(const Napi::CallbackInfo& info);
Napi::Value take_number_bucket(const Napi::CallbackInfo& info);
Napi::Value profile_number_column(const Napi::CallbackInfo& info);

// resources.cc
Napi::Value sync(const Napi::CallbackInfo& info);
Napi::Value settled(const Napi::CallbackInfo& info);
Napi::Value memory(const Napi::CallbackInfo& info);
Napi::Value reset_peak(const Napi::CallbackInfo& info);
Napi::Value set_budget(const Napi::CallbackInfo& info);
Napi::Value trim(const Napi::CallbackInfo& info);
Napi::Value threads(const Napi::CallbackInfo& info);
Napi::Value set_threads(const Napi::CallbackInfo& info);
Napi::Value counters(const Napi::CallbackInfo& info);
Napi::Value reset_counters(const Napi::CallbackInfo& info);

}  // namespace tk
