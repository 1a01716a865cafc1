// zlib; inflateInit2 is a macro, which Swift does not import.
#pragma once
#include <zlib.h>

static inline int czlib_inflateInit2(z_stream *_Nonnull stream, int windowBits) {
  return inflateInit2(stream, windowBits);
}
