// Reusable rules of API objects over documents, as Kubernetes words them. They expect defaulted
// objects whose types the schema has checked; wrong types are skipped, never fatal. Pure.
#pragma once

#include "libs/api/validation/field_errors.h"

namespace coxswain::api {

inline constexpr std::size_t kMaxAnnotationBytes = 256 * 1024;

using NameCheck = NameErrors (*)(std::string_view);

void validate_labels(const json::Value* labels, const std::string& path, FieldErrors& errors);
// One name of a finalizer: qualified, or one of the standard ones.
void validate_finalizer(const std::string& name, const std::string& path, const std::string& element_path,
                        FieldErrors& errors);
void validate_annotations(const json::Value* annotations, const std::string& path, FieldErrors& errors);
// A metav1.LabelSelector.
void validate_label_selector(const json::Value& selector, const std::string& path, FieldErrors& errors);
// metadata of a new or changed object.
void validate_object_meta(const json::Value& metadata, NameCheck name, bool namespaced, FieldErrors& errors);

// A whole pod, with what only new ones must obey, and a template.
void validate_pod(const json::Value& pod, FieldErrors& errors);
void validate_new_pod(const json::Value& pod, FieldErrors& errors);
void validate_pod_template(const json::Value& pod_template, const std::string& path, FieldErrors& errors);
// What may change in a pod's spec, and what its status may say.
void validate_pod_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors);
void validate_pod_status(const json::Value& old, const json::Value& pod, FieldErrors& errors);

// What is allowed, but hardly meant: texts for Warning headers.
void pod_spec_warnings(const json::Value& spec, const std::string& path, std::vector<std::string>& out);

// Deployments and ReplicaSets. `kind` is the object's.
void validate_deployment(const json::Value& object, FieldErrors& errors);
void validate_replica_set(const json::Value& object, FieldErrors& errors);
void validate_workload_status(const json::Value& old, const json::Value& object, FieldErrors& errors);
void validate_controller_revision(const json::Value& object, FieldErrors& errors);

// Services with their addresses allocated.
void validate_service(const json::Value& object, FieldErrors& errors);
void validate_service_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors);
void validate_service_status(const json::Value& object, FieldErrors& errors);

void validate_endpoints(const json::Value& object, FieldErrors& errors);
// `old` null: a new one.
void validate_endpoint_slice(const json::Value* old, const json::Value& object, FieldErrors& errors);

void validate_config_map(const json::Value& object, FieldErrors& errors);
void validate_secret(const json::Value& object, FieldErrors& errors);
// What stays when `immutable` is set; of Secrets also the type.
void validate_data_update(const json::Value& old, const json::Value& object, FieldErrors& errors);

void validate_node(const json::Value& object, FieldErrors& errors);
void validate_node_update(const json::Value& old, const json::Value& object, FieldErrors& errors);
// spec.finalizers; `per_element`: the finalize subresource names the element, creation the list.
void validate_namespace_finalizers(const json::Value& object, bool per_element, FieldErrors& errors);
void validate_namespace_status(const json::Value& object, FieldErrors& errors);
void validate_lease(const json::Value& object, FieldErrors& errors);

// Events in their stored (core/v1) form. `strict`: written through events.k8s.io; `old` null: a new one.
void validate_event(const json::Value* old, const json::Value& event, bool strict, FieldErrors& errors);

// An address that can be someone's: not unspecified, loopback or link-local.
void validate_non_special_ip(const std::string& ip, const std::string& path, FieldErrors& errors);
void validate_cidr(const std::string& cidr, const std::string& path, FieldErrors& errors);

}  // namespace coxswain::api
