#include <algorithm>

#include "libs/api/validation/validation.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

void validate_owners(const json::Value& metadata, FieldErrors& errors) {
  std::string controller;
  std::size_t index = 0;
  for (const json::Value& owner : list_at(metadata, "ownerReferences")) {
    const std::string path = indexed("metadata.ownerReferences", index++);
    const std::string version = owner.get_string("apiVersion");
    if (version.empty())
      errors.required(path + ".apiVersion", "must not be empty");
    else if (std::count(version.begin(), version.end(), '/') > 1) {
      errors.invalid(path + ".apiVersion", version, "must be <group>/<version> or <version>");
    }
    for (const char* key : {"kind", "name", "uid"}) {
      if (owner.get_string(key).empty()) errors.required(path + "." + key, "must not be empty");
    }
    if (!owner.get_bool("controller")) continue;
    const std::string name = owner.get_string("kind") + "/" + owner.get_string("name");
    if (!controller.empty()) {
      errors.invalid("metadata.ownerReferences", json::Value(list_at(metadata, "ownerReferences")),
                     "Only one reference can have Controller set to true. Found \"true\" in references for " +
                         controller + " and " + name);
      return;
    }
    controller = name;
  }
}

bool standard_finalizer(std::string_view name) {
  return name == "kubernetes" || name == "orphan" || name == "foregroundDeletion";
}

void validate_finalizers(const json::Value& metadata, FieldErrors& errors) {
  const json::Array& finalizers = list_at(metadata, "finalizers");
  bool orphan = false;
  bool foreground = false;
  std::size_t index = 0;
  for (const json::Value& finalizer : finalizers) {
    const std::string at = indexed("metadata.finalizers", index++);
    if (!finalizer.is_string()) continue;
    validate_finalizer(finalizer.as_string(), "metadata.finalizers", at, errors);
    orphan = orphan || finalizer.as_string() == "orphan";
    foreground = foreground || finalizer.as_string() == "foregroundDeletion";
  }
  if (orphan && foreground) {
    errors.invalid("metadata.finalizers", json::Value(finalizers),
                   "finalizer orphan and foregroundDeletion cannot be both set");
  }
}

// A prefix may end in '-', as a suffix follows.
std::string as_name(std::string prefix) {
  if (prefix.size() > 1 && prefix.back() == '-') prefix.back() = 'a';
  return prefix;
}

}  // namespace

void validate_finalizer(const std::string& name, const std::string& path, const std::string& element_path,
                        FieldErrors& errors) {
  errors.invalid_each(path, name, check_qualified_name(name));
  if (name.find('/') == std::string::npos && !standard_finalizer(name))
    errors.invalid(element_path, name, "name is neither a standard finalizer name nor is it fully qualified");
}

void validate_labels(const json::Value* labels, const std::string& path, FieldErrors& errors) {
  if (labels == nullptr || !labels->is_object()) return;
  for (const json::Member& label : labels->as_object()) {
    errors.invalid_each(path, label.first, check_qualified_name(label.first));
    if (label.second.is_string())
      errors.invalid_each(path, label.second, check_label_value(label.second.as_string()));
  }
}

void validate_annotations(const json::Value* annotations, const std::string& path, FieldErrors& errors) {
  if (annotations == nullptr || !annotations->is_object()) return;
  std::size_t total = 0;
  for (const json::Member& annotation : annotations->as_object()) {
    errors.invalid_each(path, annotation.first, check_annotation_key(annotation.first));
    total += annotation.first.size();
    if (annotation.second.is_string()) total += annotation.second.as_string().size();
  }
  if (total > kMaxAnnotationBytes) errors.too_long(path, kMaxAnnotationBytes);
}

void validate_label_selector(const json::Value& selector, const std::string& path, FieldErrors& errors) {
  validate_labels(selector.find("matchLabels"), path + ".matchLabels", errors);
  std::size_t index = 0;
  for (const json::Value& expression : list_at(selector, "matchExpressions")) {
    const std::string at = indexed(path + ".matchExpressions", index++);
    const std::string op = expression.get_string("operator");
    const json::Array& values = list_at(expression, "values");
    if (op == "In" || op == "NotIn") {
      if (values.empty())
        errors.required(at + ".values", "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!values.empty())
        errors.forbidden(at + ".values",
                         "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else {
      errors.invalid(at + ".operator", op, "not a valid selector operator");
    }
    errors.invalid_each(at + ".key", expression.get_string("key"),
                        check_qualified_name(expression.get_string("key")));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i].is_string()) {
        errors.invalid_each(indexed(at + ".values", i), values[i], check_label_value(values[i].as_string()));
      }
    }
  }
}

void validate_object_meta(const json::Value& metadata, NameCheck name, bool namespaced, FieldErrors& errors) {
  const std::string prefix = metadata.get_string("generateName");
  const std::string own = metadata.get_string("name");
  if (!prefix.empty()) errors.invalid_each("metadata.generateName", prefix, name(as_name(prefix)));
  if (own.empty())
    errors.required("metadata.name", "name or generateName is required");
  else
    errors.invalid_each("metadata.name", own, name(own));
  const std::string ns = metadata.get_string("namespace");
  if (namespaced && ns.empty()) errors.required("metadata.namespace");
  if (namespaced && !ns.empty()) errors.invalid_each("metadata.namespace", ns, check_dns1123_label(ns));
  if (!namespaced && !ns.empty()) errors.forbidden("metadata.namespace", "not allowed on this type");
  errors.non_negative("metadata.generation", metadata.get_int("generation"));
  validate_labels(metadata.find("labels"), "metadata.labels", errors);
  validate_annotations(metadata.find("annotations"), "metadata.annotations", errors);
  validate_owners(metadata, errors);
  validate_finalizers(metadata, errors);
}

}  // namespace coxswain::api
