// What the processor that this program runs on can do. Compiled for the oldest one, so that it can be asked anywhere.
#pragma once
#include <stdint.h>

// The highest level of x86-64 (1 … 4) that processor and operating system offer, by CPUID and XCR0; a virtual machine may
// tell of vectors in the one whose registers the other does not keep. 0 on other architectures.
int32_t processor_level(void);

// Lets this thread's vector arithmetic take and give zero instead of numbers below the smallest normal one, about
// 1.2e-38: a processor that must round those needs a hundred times longer, and gradients of experts that a gate has
// left come to be of that size.
void processor_flush_subnormals(void);
