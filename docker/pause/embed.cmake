# Writes INPUT's bytes as an array in the C++ source OUTPUT.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "// Generated from docker/pause/pause.c. Do not edit.
#include <cstddef>
namespace coxswain::kubelet {
extern const unsigned char kPauseBinary[];
extern const std::size_t kPauseBinarySize;
const unsigned char kPauseBinary[] = {
${bytes}};
const std::size_t kPauseBinarySize = sizeof(kPauseBinary);
}  // namespace coxswain::kubelet
")
