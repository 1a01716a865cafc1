// Swift imports Open MPI's functions but not the macros that cast to pointers.
// Each macro that the Swift code uses gets a getter of the same name here; nothing else belongs in this file.
#pragma once
#include <mpi.h>

#define COPENMPI_CONSTANT(type, name)                                                   \
  static inline type copenmpi_##name(void) __attribute__((swift_name("getter:" #name "()"))); \
  static inline type copenmpi_##name(void) { return name; }

COPENMPI_CONSTANT(MPI_Comm _Nonnull, MPI_COMM_WORLD)
COPENMPI_CONSTANT(MPI_Datatype _Nonnull, MPI_BYTE)
COPENMPI_CONSTANT(void *_Nonnull, MPI_IN_PLACE)
COPENMPI_CONSTANT(MPI_Datatype _Nonnull, MPI_FLOAT)
COPENMPI_CONSTANT(MPI_Op _Nonnull, MPI_SUM)
COPENMPI_CONSTANT(MPI_Errhandler _Nonnull, MPI_ERRORS_RETURN)
