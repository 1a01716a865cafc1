// Everything is in the header; a C target has a source file.
#include "lanes.h"
