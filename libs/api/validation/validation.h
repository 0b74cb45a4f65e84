// Reusable rules of API objects over documents, as Kubernetes words them. They expect defaulted
// objects whose types the schema has checked; wrong types are skipped, never fatal. Pure.
#pragma once

#include "libs/api/validation/field_errors.h"

namespace coxswain::api {

inline constexpr std::size_t kMaxAnnotationBytes = 256 * 1024;

using NameCheck = NameErrors (*)(std::string_view);

void validate_labels(const json::Value* labels, const std::string& path, FieldErrors& errors);
void validate_annotations(const json::Value* annotations, const std::string& path, FieldErrors& errors);
// A metav1.LabelSelector.
void validate_label_selector(const json::Value& selector, const std::string& path, FieldErrors& errors);
// metadata of a new or changed object.
void validate_object_meta(const json::Value& metadata, NameCheck name, bool namespaced, FieldErrors& errors);

void validate_pod_spec(const json::Value& spec, const std::string& path, FieldErrors& errors);
// template.metadata and template.spec.
void validate_pod_template(const json::Value& pod_template, const std::string& path, FieldErrors& errors);
// What may change in a bound or unbound pod's spec.
void validate_pod_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors);

void validate_service_spec(const json::Value& spec, FieldErrors& errors);
void validate_service_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors);

// One container; `volumes` are the names that mounts may use. Shared by pod_spec.cc.
void validate_container(const json::Value& container, const std::string& path,
                        const std::vector<std::string>& volumes, FieldErrors& errors);

}  // namespace coxswain::api
