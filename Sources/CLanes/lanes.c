// Everything is in the headers; a C target has a source file.
#include "functions.h"
