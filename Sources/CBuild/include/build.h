// How this program was built, where the script that built it said so.
#pragma once

// The commit of the sources, with -dirty where they were changed; "" where nobody said it.
const char *build_commit(void);
