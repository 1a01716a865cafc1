#include "build.h"

#ifndef MOE_DIST_COMMIT
#define MOE_DIST_COMMIT
#endif

#define TEXT_OF(words) #words
#define TEXT(name) TEXT_OF(name)

const char *build_commit(void) { return TEXT(MOE_DIST_COMMIT); }
