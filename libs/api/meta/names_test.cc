#include "libs/api/meta/names.h"

#include <catch2/catch.hpp>

using namespace coxswain::api;

TEST_CASE("names: good and bad") {
  struct Case {
    NameErrors (*check)(std::string_view);
    std::string text;
    const char* error;  // its beginning; null: fine
  };
  const Case cases[] = {
      {check_dns1123_label, "a-1", nullptr},
      {check_dns1123_label, "1a", nullptr},
      {check_dns1123_label, "A", "a lowercase RFC 1123 label"},
      {check_dns1123_label, "a.b", "must not contain dots"},
      {check_dns1123_label, "-a", "a lowercase RFC 1123 label"},
      {check_dns1123_label, std::string(64, 'a'), "must be no more than 63 bytes"},
      {check_dns1123_subdomain, "a.b-c", nullptr},
      {check_dns1123_subdomain, "a..b", "a lowercase RFC 1123 subdomain"},
      {check_dns1123_subdomain, "", "a lowercase RFC 1123 subdomain"},
      {check_dns1035_label, "1a", "a DNS-1035 label"},
      {check_qualified_name, "example.com/My_Name.1", nullptr},
      {check_qualified_name, "/x", "prefix part must be non-empty"},
      {check_qualified_name, "a/b/c", "a qualified name"},
      {check_qualified_name, "a/", "name part must be non-empty"},
      {check_qualified_name, "a b", "name part must consist"},
      {check_label_value, "", nullptr},
      {check_label_value, "a_b", nullptr},
      {check_label_value, "-a", "a valid label"},
      {check_port_name, "http-1", nullptr},
      {check_port_name, "123", "must contain at least one letter"},
      {check_port_name, "a--b", "must not contain consecutive"},
      {check_config_map_key, "..a", "must not start with '..'"},
      {check_config_map_key, "a/b", "a valid config key"},
      {check_env_var_name, "my.var-1", nullptr},
      {check_env_var_name, "a=b", "a valid environment variable"},
      {check_path_segment, "a:b", nullptr},
      {check_path_segment, "a/b", "may not contain '/'"},
      {check_ip, "10.0.0.1", nullptr},
      {check_ip, "::1", nullptr},
      {check_ip, "10.0.0", "must be a valid IP address"},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const NameErrors errors = c.check(c.text);
    if (c.error == nullptr) {
      CHECK(errors.empty());
    } else {
      REQUIRE_FALSE(errors.empty());
      CHECK(errors[0].rfind(c.error, 0) == 0);
    }
  }
}
