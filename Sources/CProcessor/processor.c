#include "processor.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { eax, ebx, ecx, edx };

static int all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

// What the operating system saves of the vector registers.
static uint32_t saved_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

int32_t processor_level(void) {
  uint32_t basic[4] = {0}, extended[4] = {0}, more[4] = {0};
  __get_cpuid(1, &basic[eax], &basic[ebx], &basic[ecx], &basic[edx]);
  __get_cpuid_count(7, 0, &extended[eax], &extended[ebx], &extended[ecx], &extended[edx]);
  __get_cpuid(0x80000001u, &more[eax], &more[ebx], &more[ecx], &more[edx]);
  const uint32_t second = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT;
  if (!all(basic[ecx], second) || !all(more[ecx], 1u /* LAHF */)) return 1;
  const uint32_t third = bit_AVX | bit_FMA | bit_F16C | bit_MOVBE | bit_OSXSAVE;
  if (!all(basic[ecx], third) || !all(extended[ebx], bit_AVX2 | bit_BMI | bit_BMI2)) return 2;
  if (!all(more[ecx], 1u << 5 /* LZCNT */) || !all(saved_state(), 0x6u /* XMM, YMM */)) return 2;
  const uint32_t fourth = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  if (!all(extended[ebx], fourth) || !all(saved_state(), 0xe6u /* and masks, both halves of ZMM */)) return 3;
  return 4;
}

void processor_flush_subnormals(void) { __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); }

#else

int32_t processor_level(void) { return 0; }

void processor_flush_subnormals(void) {
#if defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("msr fpcr, %0" : : "r"(control | (1u << 24)));
#endif
}

#endif
