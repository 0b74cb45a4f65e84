// Rules of metadata. Those of the kinds are tried through their strategies, defaults and all:
// libs/registry/kinds/rules_test.cc.
#include "libs/api/validation/validation.h"

#include <catch2/catch.hpp>

using namespace coxswain;
using namespace coxswain::api;

namespace {

struct Case {
  const char* merge;  // members set in a good object, by JSON text of the whole value
  const char* field;
  const char* reason;
  const char* message;  // a part
};

template <typename Validate>
void expect(const Case& c, const Validate& validate) {
  std::vector<StatusCause> causes;
  FieldErrors errors(causes);
  validate(*json::parse(c.merge), errors);
  INFO(c.merge);
  bool found = false;
  for (const StatusCause& cause : causes) {
    INFO(cause.field << " " << cause.reason << " " << cause.message);
    found = found || (cause.field == c.field && cause.reason == c.reason &&
                      cause.message.find(c.message) != std::string::npos);
  }
  CHECK(found);
}

}  // namespace

TEST_CASE("good objects have no errors") {
  std::vector<StatusCause> causes;
  FieldErrors errors(causes);
  validate_object_meta(
      *json::parse(
          R"({"name":"a","namespace":"b","labels":{"x/y":"z"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"K","name":"n","uid":"u","controller":true}]})"),
      check_dns1123_subdomain, true, errors);
  for (const StatusCause& cause : causes) UNSCOPED_INFO(cause.field << ": " << cause.message);
  CHECK(causes.empty());
}

TEST_CASE("metadata errors") {
  const Case cases[] = {
      {R"({"namespace":"d"})", "metadata.name", "FieldValueRequired",
       "Required value: name or generateName is required"},
      {R"({"name":"A","namespace":"d"})", "metadata.name", "FieldValueInvalid",
       "Invalid value: \"A\": a lowercase RFC 1123 subdomain"},
      {R"({"name":"a"})", "metadata.namespace", "FieldValueRequired", "Required value"},
      {R"({"name":"a","namespace":"d","labels":{"-":"x"}})", "metadata.labels", "FieldValueInvalid",
       "name part must consist"},
      {R"({"name":"a","namespace":"d","labels":{"a":"-"}})", "metadata.labels", "FieldValueInvalid",
       "a valid label must be"},
      {R"({"name":"a","namespace":"d","annotations":{"a b":""}})", "metadata.annotations",
       "FieldValueInvalid", "name part"},
      {R"({"name":"a","namespace":"d","finalizers":["x y"]})", "metadata.finalizers", "FieldValueInvalid",
       "name part"},
      {R"({"name":"a","namespace":"d","ownerReferences":[{"apiVersion":"v1","kind":"K","name":"n"}]})",
       "metadata.ownerReferences[0].uid", "FieldValueRequired", "must not be empty"},
  };
  for (const Case& c : cases) {
    expect(c, [](const json::Value& metadata, FieldErrors& errors) {
      validate_object_meta(metadata, check_dns1123_subdomain, true, errors);
    });
  }
  std::vector<StatusCause> causes;
  FieldErrors errors(causes);
  const json::Value big = json::Value::object({{"a", std::string(kMaxAnnotationBytes, 'x')}});
  validate_annotations(&big, "metadata.annotations", errors);
  REQUIRE(causes.size() == 1);
  CHECK(causes[0].message == "Too long: may not be more than 262144 bytes");
}
