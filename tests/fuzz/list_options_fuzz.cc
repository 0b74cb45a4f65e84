// What clients say of where they are: revisions and continue tokens. Refused, or the same when it is written
// again. The first byte says which of them the rest is.
#include <cstddef>
#include <cstdint>
#include <string>

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/registry/verbs/list_options.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain;  // NOLINT
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  http::Request request;
  switch (data[0] % 4) {
    case 0:
      request.query = {{"resourceVersion", text}};
      break;
    case 1:
      request.query = {{"resourceVersion", "5"}, {"resourceVersionMatch", text}, {"limit", text}};
      break;
    case 2:
      request.query = {{"continue", text}};
      break;
    default:
      request.query = {{"continue", base64url_encode(text)}, {"limit", "5"}};
  }
  (void)registry::parse_list_options(request, true);
  const auto options = registry::parse_list_options(request, false);
  if (!options.ok()) {
    COX_CHECK(options.error().code >= 400 && !options.error().message.empty());
    return 0;
  }
  COX_CHECK(options->revision >= 0 && options->continue_revision >= 0);
  if (!options->continued) return 0;
  http::Request again;
  again.query = {
      {"continue", registry::make_continue_token(options->continue_revision, options->continue_after)}};
  const auto same = registry::parse_list_options(again, false);
  COX_CHECK(same.ok() && same->continue_after == options->continue_after &&
            same->continue_revision == options->continue_revision);
  return 0;
}
