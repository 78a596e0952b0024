// The end of a program made of all the files of one folder.
#include "test.h"
TEST_MAIN
