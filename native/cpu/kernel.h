// First include of every *_cpu.cc. Such a file is compiled once per instruction-set level, with TK_LEVEL naming the level
// (baseline, avx2, avx512, neon) and the matching compiler flags; its code lives in namespace tk::TK_LEVEL.
//
// The linker keeps one copy of any inline function shared by several levels, and that copy may hold instructions the machine
// lacks. So nothing that is not forced inline (TK_INLINE) may be shared: no std containers, no std algorithms, no templates or
// inline functions outside the level's namespace. tests/native/level_symbols.sh checks the object files.
#pragma once

#include "core/op_call.h"
#include "cpu/context.h"

#ifndef TK_LEVEL
#define TK_LEVEL baseline  // for editors; the build always says
#endif

#define TK_BEGIN_LEVEL \
  namespace tk {       \
  namespace TK_LEVEL {
#define TK_END_LEVEL \
  }                  \
  }

#include "cpu/simd.h"
