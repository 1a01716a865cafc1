// The C interface of OpenBLAS: cblas_sgemm, openblas_set_num_threads, openblas_get_corename.
#pragma once
#include <cblas.h>
