// The one translation unit with Catch2's implementation; compiling it is slow, so it is shared.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
