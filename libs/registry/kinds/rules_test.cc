// Every rule of the served kinds: a good object, what is changed in it, and exactly the causes that follow.
//
// One line a case:   KIND | changes | causes            a new object
//                    KIND | changes | changes | causes  an update: of the old object, then of the new one
// A change is POINTER=JSON (RFC 6901; missing objects are made; null removes), a cause is FIELD Reason
// (FieldValueReason of the Status); several are separated by two semicolons. `!text` after a cause: its
// message holds the text. No causes: the object is good.
#include <map>
#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/registry/documents.h"
#include "libs/registry/strategy.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

struct Good {
  const char* group;
  const char* object;
};

const std::map<std::string, Good>& good_objects() {
  static const std::map<std::string, Good> objects = {
      {"Pod", {"", R"({"kind":"Pod","metadata":{"name":"p","namespace":"d"},"spec":{
        "volumes":[{"name":"v","emptyDir":{}},{"name":"b","persistentVolumeClaim":{"claimName":"c"}}],
        "containers":[{"name":"a","image":"i:1"}]}})"}},
      {"Deployment", {"apps", R"({"kind":"Deployment","metadata":{"name":"x","namespace":"d"},"spec":{
        "selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
        "spec":{"containers":[{"name":"a","image":"i:1"}]}}}})"}},
      {"ReplicaSet", {"apps", R"({"kind":"ReplicaSet","metadata":{"name":"x","namespace":"d"},"spec":{
        "selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
        "spec":{"containers":[{"name":"a","image":"i:1"}]}}}})"}},
      {"ControllerRevision",
       {"apps", R"({"kind":"ControllerRevision","metadata":{"name":"x"},"data":{},"revision":1})"}},
      {"Service",
       {"", R"({"kind":"Service","metadata":{"name":"s","namespace":"d"},"spec":{"clusterIP":"10.96.0.9",
        "clusterIPs":["10.96.0.9"],"ipFamilies":["IPv4"],"ports":[{"port":80}]}})"}},
      {"Endpoints", {"", R"({"kind":"Endpoints","metadata":{"name":"e","namespace":"d"},"subsets":[
        {"addresses":[{"ip":"10.0.0.1"}],"ports":[{"port":80}]}]})"}},
      {"EndpointSlice",
       {"discovery.k8s.io", R"({"kind":"EndpointSlice","metadata":{"name":"e","namespace":"d"},
        "addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"port":80}]})"}},
      {"ConfigMap", {"", R"({"kind":"ConfigMap","metadata":{"name":"c"},"data":{"k":"v"}})"}},
      {"Secret", {"", R"({"kind":"Secret","metadata":{"name":"c"},"data":{"k":"dg=="}})"}},
      {"Node", {"", R"({"kind":"Node","metadata":{"name":"n"},"spec":{}})"}},
      {"Namespace", {"", R"({"kind":"Namespace","metadata":{"name":"n"}})"}},
      {"Lease",
       {"coordination.k8s.io", R"({"kind":"Lease","metadata":{"name":"l","namespace":"d"},"spec":{}})"}},
      {"Event",
       {"",
        R"({"kind":"Event","metadata":{"name":"e","namespace":"d"},"involvedObject":{"namespace":"d"}})"}},
      {"NewEvent", {"events.k8s.io", R"({"kind":"Event","metadata":{"name":"e","namespace":"d"},
        "regarding":{"namespace":"d"},"eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"x.io/c",
        "reportingInstance":"i","action":"a","reason":"r","type":"Normal"})"}}};
  return objects;
}

// --- the cases -----------------------------------------------------------------------------------
const char* const kPodRules = R"(
Pod | |
Pod | /spec/containers=[] | spec.containers Required
Pod | /spec/containers/0/name="" | spec.containers[0].name Required
Pod | /spec/containers/0/name="A_" | spec.containers[0].name Invalid !a lowercase RFC 1123 label
Pod | /spec/containers/-={"name":"a","image":"i"} | spec.containers[1].name Duplicate !Duplicate value: "a"
Pod | /spec/containers/0/image="" | spec.containers[0].image Required
Pod | /spec/containers/0/image=" x" | spec.containers[0].image Invalid !must not have leading or trailing whitespace
Pod | /spec/containers/0/imagePullPolicy="Often" | spec.containers[0].imagePullPolicy NotSupported !supported values: "Always", "IfNotPresent", "Never"
Pod | /spec/containers/0/terminationMessagePolicy="x" | spec.containers[0].terminationMessagePolicy NotSupported
Pod | /spec/containers/0/restartPolicy="Always" | spec.containers[0].restartPolicy Forbidden !may not be set for non-init containers
Pod | /spec/containers/0/ports=[{}] | spec.containers[0].ports[0].containerPort Required
Pod | /spec/containers/0/ports=[{"containerPort":70000}] | spec.containers[0].ports[0].containerPort Invalid !must be between 1 and 65535, inclusive
Pod | /spec/containers/0/ports=[{"containerPort":1,"hostPort":-1}] | spec.containers[0].ports[0].hostPort Invalid
Pod | /spec/containers/0/ports=[{"containerPort":1,"protocol":"X"}] | spec.containers[0].ports[0].protocol NotSupported !supported values: "SCTP", "TCP", "UDP"
Pod | /spec/containers/0/ports=[{"containerPort":1,"name":"1234567890123456"}] | spec.containers[0].ports[0].name Invalid;; spec.containers[0].ports[0].name Invalid
Pod | /spec/containers/0/ports=[{"containerPort":1,"name":"a"},{"containerPort":2,"name":"a"}] | spec.containers[0].ports[1].name Duplicate
Pod | /spec/containers/0/ports=[{"containerPort":1,"hostPort":9},{"containerPort":2,"hostPort":9}] | spec.containers[0].ports[1].hostPort Duplicate !Duplicate value: "TCP//9"
Pod | /spec/containers/0/ports=[{"containerPort":1,"hostPort":9},{"containerPort":2,"hostPort":9,"protocol":"UDP"}] |
Pod | /spec/hostNetwork=true ;; /spec/containers/0/ports=[{"containerPort":1,"hostPort":9}] | spec.containers[0].ports[0].hostPort Invalid !must match `containerPort`
Pod | /spec/containers/0/env=[{}] | spec.containers[0].env[0].name Required
Pod | /spec/containers/0/env=[{"name":"a=b"}] | spec.containers[0].env[0].name Invalid
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{}}] | spec.containers[0].env[0].valueFrom Invalid !must specify one of
Pod | /spec/containers/0/env=[{"name":"A","value":"x","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}] | spec.containers[0].env[0].valueFrom Invalid !may not be specified when `value` is not empty
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"},"secretKeyRef":{"name":"s","key":"k"}}}] | spec.containers[0].env[0].valueFrom Invalid !more than one field
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.x"}}}] | spec.containers[0].env[0].valueFrom.fieldRef.fieldPath Invalid !error converting fieldPath: field label not supported: spec.x
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"status.phase"}}}] | spec.containers[0].env[0].valueFrom.fieldRef.fieldPath NotSupported
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['a b']"}}}] | spec.containers[0].env[0].valueFrom.fieldRef Invalid
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}}] |
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"fieldRef":{}}}] | spec.containers[0].env[0].valueFrom.fieldRef.fieldPath Required
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"resourceFieldRef":{"resource":"x"}}}] | spec.containers[0].env[0].valueFrom.resourceFieldRef.resource NotSupported
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"5"}}}] | spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor Invalid !only divisor's values 1m and 1
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"m"}}}] | spec.containers[0].env[0].valueFrom.configMapKeyRef.key Required
Pod | /spec/containers/0/env=[{"name":"A","valueFrom":{"secretKeyRef":{"name":"M","key":"k"}}}] | spec.containers[0].env[0].valueFrom.secretKeyRef.name Invalid
Pod | /spec/containers/0/envFrom=[{}] | spec.containers[0].envFrom Invalid !must specify one of: `configMapRef` or `secretRef`
Pod | /spec/containers/0/envFrom=[{"configMapRef":{"name":"a"},"secretRef":{"name":"a"}}] | spec.containers[0].envFrom Invalid !more than one
Pod | /spec/containers/0/envFrom=[{"configMapRef":{}}] | spec.containers[0].envFrom[0].configMapRef.name Required
Pod | /spec/containers/0/envFrom=[{"prefix":"a=","configMapRef":{"name":"a"}}] | spec.containers[0].envFrom[0].prefix Invalid
Pod | /spec/containers/0/volumeMounts=[{"name":"w","mountPath":"/x"}] | spec.containers[0].volumeMounts[0].name NotFound !Not found: "w"
Pod | /spec/containers/0/volumeMounts=[{"name":"v"}] | spec.containers[0].volumeMounts[0].mountPath Required
Pod | /spec/containers/0/volumeMounts=[{"name":"v","mountPath":"/x"},{"name":"v","mountPath":"/x"}] | spec.containers[0].volumeMounts[1].mountPath Invalid !must be unique
Pod | /spec/containers/0/volumeMounts=[{"name":"v","mountPath":"/x","subPath":"/a"}] | spec.containers[0].volumeMounts.subPath Invalid !must be a relative path
Pod | /spec/containers/0/volumeMounts=[{"name":"v","mountPath":"/x","subPath":"a/../b"}] | spec.containers[0].volumeMounts.subPath Invalid !must not contain '..'
Pod | /spec/containers/0/volumeMounts=[{"name":"v","mountPath":"/x","subPath":"a","subPathExpr":"b"}] | spec.containers[0].volumeMounts[0].subPathExpr Invalid
Pod | /spec/containers/0/volumeMounts=[{"name":"v","mountPath":"/x","mountPropagation":"Bidirectional"}] | spec.containers[0].volumeMounts.mountPropagation Forbidden
Pod | /spec/containers/0/volumeMounts=[{"name":"v","mountPath":"/x","mountPropagation":"Odd"}] | spec.containers[0].volumeMounts.mountPropagation NotSupported
Pod | /spec/containers/0/volumeMounts=[{"name":"v","mountPath":"/x","recursiveReadOnly":"Enabled"}] | spec.containers[0].volumeMounts.recursiveReadOnly Forbidden
Pod | /spec/containers/0/volumeDevices=[{"name":"v","devicePath":"/dev/x"}] | spec.containers[0].volumeDevices[0].name Invalid !block mode
Pod | /spec/containers/0/volumeDevices=[{"name":"b"}] | spec.containers[0].volumeDevices[0].devicePath Required
Pod | /spec/containers/0/livenessProbe={} | spec.containers[0].livenessProbe Required !must specify a handler type
Pod | /spec/containers/0/livenessProbe={"exec":{"command":["x"]},"tcpSocket":{"port":1}} | spec.containers[0].livenessProbe.tcpSocket Forbidden
Pod | /spec/containers/0/livenessProbe={"exec":{}} | spec.containers[0].livenessProbe.exec.command Required
Pod | /spec/containers/0/livenessProbe={"exec":{"command":["x"]},"periodSeconds":-1} | spec.containers[0].livenessProbe.periodSeconds Invalid !must be greater than or equal to 0
Pod | /spec/containers/0/livenessProbe={"exec":{"command":["x"]},"successThreshold":2} | spec.containers[0].livenessProbe.successThreshold Invalid !must be 1
Pod | /spec/containers/0/livenessProbe={"exec":{"command":["x"]},"terminationGracePeriodSeconds":0} | spec.containers[0].livenessProbe.terminationGracePeriodSeconds Invalid !must be greater than 0
Pod | /spec/containers/0/readinessProbe={"exec":{"command":["x"]},"terminationGracePeriodSeconds":5} | spec.containers[0].readinessProbe.terminationGracePeriodSeconds Invalid !must not be set for readinessProbes
Pod | /spec/containers/0/readinessProbe={"httpGet":{"port":0}} | spec.containers[0].readinessProbe.httpGet.port Invalid
Pod | /spec/containers/0/readinessProbe={"httpGet":{"port":"a--b"}} | spec.containers[0].readinessProbe.httpGet.port Invalid !consecutive hyphens
Pod | /spec/containers/0/readinessProbe={"httpGet":{"port":80,"scheme":"FTP"}} | spec.containers[0].readinessProbe.httpGet.scheme NotSupported
Pod | /spec/containers/0/readinessProbe={"httpGet":{"port":80,"httpHeaders":[{"name":"a b","value":""}]}} | spec.containers[0].readinessProbe.httpGet.httpHeaders Invalid
Pod | /spec/containers/0/startupProbe={"grpc":{"port":0}} | spec.containers[0].startupProbe.grpc.port Invalid
Pod | /spec/containers/0/lifecycle={"preStop":{}} | spec.containers[0].lifecycle.preStop Required
Pod | /spec/containers/0/lifecycle={"preStop":{"sleep":{"seconds":31}}} | spec.containers[0].lifecycle.preStop.sleep Invalid !terminationGracePeriodSeconds (30)
Pod | /spec/containers/0/lifecycle={"postStart":{"exec":{}}} | spec.containers[0].lifecycle.postStart.exec.command Required
Pod | /spec/containers/0/resources={"limits":{"cpu":"1"},"requests":{"cpu":"2"}} | spec.containers[0].resources.requests Invalid !Invalid value: "2": must be less than or equal to cpu limit of 1
Pod | /spec/containers/0/resources={"requests":{"cpu":"-1"}} | spec.containers[0].resources.requests[cpu] Invalid !must be greater than or equal to 0
Pod | /spec/containers/0/resources={"limits":{"frob":"1"}} | spec.containers[0].resources.limits[frob] Invalid !must be a standard resource type;; spec.containers[0].resources.limits[frob] Invalid !standard resource for containers;; spec.containers[0].resources.requests[frob] Invalid;; spec.containers[0].resources.requests[frob] Invalid
Pod | /spec/containers/0/resources={"requests":{"x.io/gpu":"1"}} | spec.containers[0].resources.limits Required !non overcommitable
Pod | /spec/containers/0/resources={"limits":{"x.io/gpu":"500m"}} | spec.containers[0].resources.limits[x.io/gpu] Invalid !must be an integer;; spec.containers[0].resources.requests[x.io/gpu] Invalid
Pod | /spec/containers/0/resources={"limits":{"x.io/gpu":"2"},"requests":{"x.io/gpu":"1"}} | spec.containers[0].resources.requests Invalid !must be equal to x.io/gpu limit of 2
Pod | /spec/containers/0/resources={"limits":{"hugepages-2Mi":"2Mi"}} | spec.containers[0].resources Forbidden !HugePages require cpu or memory
Pod | /spec/containers/0/resources={"limits":{"cpu":"1","hugepages-2Mi":"3Mi"}} | spec.containers[0].resources.limits[hugepages-2Mi] Invalid;; spec.containers[0].resources.requests[hugepages-2Mi] Invalid
Pod | /spec/containers/0/resources={"claims":[{"name":"x"}]} | spec.containers[0].resources.claims[0] NotFound
Pod | /spec/containers/0/resizePolicy=[{"resourceName":"disk","restartPolicy":"NotRequired"}] | spec.containers[0].resizePolicy NotSupported
Pod | /spec/containers/0/securityContext={"runAsUser":-1} | spec.containers[0].securityContext.runAsUser Invalid !must be between 0 and 2147483647, inclusive
Pod | /spec/containers/0/securityContext={"procMount":"Odd"} | spec.containers[0].securityContext.procMount NotSupported
Pod | /spec/containers/0/securityContext={"procMount":"Unmasked"} | spec.containers[0].securityContext.procMount Invalid !`hostUsers` must be false
Pod | /spec/containers/0/securityContext={"allowPrivilegeEscalation":false,"privileged":true} | spec.containers[0].securityContext Invalid !`privileged` to true
Pod | /spec/containers/0/securityContext={"allowPrivilegeEscalation":false,"capabilities":{"add":["CAP_SYS_ADMIN"]}} | spec.containers[0].securityContext Invalid
Pod | /spec/containers/0/securityContext={"seccompProfile":{"type":"Localhost"}} | spec.containers[0].securityContext.seccompProfile.localhostProfile Required
Pod | /spec/containers/0/securityContext={"seccompProfile":{"type":"Odd"}} | spec.containers[0].securityContext.seccompProfile.type NotSupported
Pod | /spec/containers/0/securityContext={"appArmorProfile":{}} | spec.containers[0].securityContext.appArmorProfile.type Required
Pod | /spec/securityContext={"fsGroup":-2} | spec.securityContext.fsGroup Invalid
Pod | /spec/securityContext={"supplementalGroups":[1,-2]} | spec.securityContext.supplementalGroups[1] Invalid
Pod | /spec/securityContext={"fsGroupChangePolicy":"x"} | spec.securityContext.fsGroupChangePolicy NotSupported
Pod | /spec/securityContext={"seccompProfile":{"type":"Unconfined","localhostProfile":"x"}} | spec.securityContext.seccompProfile.localhostProfile Invalid
Pod | /spec/securityContext={"sysctls":[{"name":"A b","value":"1"}]} | spec.securityContext.sysctls[0].name Invalid
Pod | /spec/securityContext={"sysctls":[{"name":"a.b","value":"1"},{"name":"a.b","value":"1"}]} | spec.securityContext.sysctls[1].name Duplicate
Pod | /spec/hostNetwork=true ;; /spec/securityContext={"sysctls":[{"name":"net.a","value":"1"}]} | spec.securityContext.sysctls[0].name Invalid !'hostNetwork' is true
Pod | /spec/shareProcessNamespace=true ;; /spec/hostPID=true | spec.securityContext.shareProcessNamespace Invalid
Pod | /spec/hostUsers=false ;; /spec/hostPID=true | spec.HostPID Forbidden
Pod | /spec/initContainers=[{"name":"a","image":"i"}] | spec.initContainers[0].name Duplicate
Pod | /spec/initContainers=[{"name":"x","image":"i","livenessProbe":{"exec":{"command":["x"]}}}] | spec.initContainers[0].livenessProbe Forbidden !may not be set for init containers without restartPolicy=Always
Pod | /spec/initContainers=[{"name":"x","image":"i","lifecycle":{}}] | spec.initContainers[0].lifecycle Forbidden
Pod | /spec/initContainers=[{"name":"x","image":"i","restartPolicy":"Always","livenessProbe":{"exec":{"command":["x"]}}}] |
Pod | /spec/initContainers=[{"name":"x","image":"i","restartPolicy":"Never"}] | spec.initContainers[0].restartPolicy NotSupported
Pod | /spec/ephemeralContainers=[{"name":"x","image":"i"}] | spec.ephemeralContainers Forbidden !cannot be set on create
Pod | /spec/restartPolicy="Maybe" | spec.restartPolicy NotSupported !supported values: "Always", "OnFailure", "Never"
Pod | /spec/dnsPolicy="Odd" | spec.dnsPolicy NotSupported
Pod | /spec/dnsPolicy="None" | spec.dnsConfig Required
Pod | /spec/dnsPolicy="None" ;; /spec/dnsConfig={} | spec.dnsConfig.nameservers Required
Pod | /spec/dnsConfig={"nameservers":["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]} | spec.dnsConfig.nameservers Invalid !must not have more than 3 nameservers
Pod | /spec/dnsConfig={"nameservers":["x"]} | spec.dnsConfig.nameservers[0] Invalid !must be a valid IP address
Pod | /spec/dnsConfig={"searches":["A B"]} | spec.dnsConfig.searches[0] Invalid
Pod | /spec/dnsConfig={"searches":["_tcp.x.","."]} |
Pod | /spec/dnsConfig={"options":[{}]} | spec.dnsConfig.options[0] Required !must not be empty
Pod | /spec/nodeSelector={"a":"-"} | spec.nodeSelector Invalid
Pod | /spec/serviceAccountName="A" | spec.serviceAccountName Invalid
Pod | /spec/nodeName="A" | spec.nodeName Invalid
Pod | /spec/activeDeadlineSeconds=0 | spec.activeDeadlineSeconds Invalid !must be between 1 and 2147483647, inclusive
Pod | /spec/hostname="a.b" | spec.hostname Invalid !must not contain dots
Pod | /spec/subdomain="A" | spec.subdomain Invalid
Pod | /spec/priorityClassName="A" | spec.priorityClassName Invalid
Pod | /spec/runtimeClassName="A" | spec.runtimeClassName Invalid
Pod | /spec/preemptionPolicy="x" | spec.preemptionPolicy NotSupported
Pod | /spec/os={"name":"beos"} | spec.os NotSupported
Pod | /spec/overhead={"frob":"1"} | spec.overhead.limits[frob] Invalid;; spec.overhead.limits[frob] Invalid
Pod | /spec/hostAliases=[{"ip":"x","hostnames":["A_"]}] | spec.hostAliases[0].ip Invalid;; spec.hostAliases[0].hostnames[0] Invalid
Pod | /spec/readinessGates=[{"conditionType":"a b"}] | spec.readinessGates[0].conditionType Invalid
Pod | /spec/schedulingGates=[{"name":"a"},{"name":"a"}] | spec.schedulingGates[1] Duplicate
Pod | /spec/schedulingGates=[{"name":"a"}] ;; /spec/nodeName="n" | spec.nodeName Forbidden !cannot be set until all schedulingGates have been cleared
Pod | /spec/resourceClaims=[{"name":"a"}] | spec.resourceClaims[0] Invalid !must specify one of
Pod | /spec/tolerations=[{"key":"a","operator":"Exists","value":"x"}] | spec.tolerations[0].operator Invalid !value must be empty
Pod | /spec/tolerations=[{"key":"a","operator":"Odd"}] | spec.tolerations[0].operator NotSupported
Pod | /spec/tolerations=[{"operator":"Equal"}] | spec.tolerations[0].operator Invalid !operator must be Exists
Pod | /spec/tolerations=[{"key":"a b","operator":"Exists"}] | spec.tolerations[0].key Invalid
Pod | /spec/tolerations=[{"key":"a","effect":"NoSchedule","tolerationSeconds":1}] | spec.tolerations[0].effect Invalid !effect must be 'NoExecute'
Pod | /spec/tolerations=[{"key":"a","effect":"Odd"}] | spec.tolerations[0].effect NotSupported
)";

const char* const kVolumeRules = R"(
Pod | /spec/volumes/0={"name":"v"} |
Pod | /spec/volumes/0={"emptyDir":{}} | spec.volumes[0].name Required
Pod | /spec/volumes/0/name="A_" | spec.volumes[0].name Invalid
Pod | /spec/volumes/1={"name":"v","emptyDir":{}} | spec.volumes[1].name Duplicate
Pod | /spec/volumes/0={"name":"v","emptyDir":{},"secret":{"secretName":"s"}} | spec.volumes[0].secret Forbidden !may not specify more than 1 volume type
Pod | /spec/volumes/0={"name":"v","emptyDir":{"sizeLimit":"-1"}} | spec.volumes[0].emptyDir.sizeLimit Forbidden
Pod | /spec/volumes/0={"name":"v","hostPath":{}} | spec.volumes[0].hostPath.path Required
Pod | /spec/volumes/0={"name":"v","hostPath":{"path":"/a/../b"}} | spec.volumes[0].hostPath.path Invalid
Pod | /spec/volumes/0={"name":"v","hostPath":{"path":"/a","type":"Odd"}} | spec.volumes[0].hostPath.type NotSupported
Pod | /spec/volumes/0={"name":"v","secret":{}} | spec.volumes[0].secret.secretName Required
Pod | /spec/volumes/0={"name":"v","secret":{"secretName":"s","defaultMode":512}} | spec.volumes[0].secret.defaultMode Invalid !0777 (octal)
Pod | /spec/volumes/0={"name":"v","secret":{"secretName":"s","items":[{"key":"k"}]}} | spec.volumes[0].secret.items[0].path Required
Pod | /spec/volumes/0={"name":"v","configMap":{}} | spec.volumes[0].configMap.name Required
Pod | /spec/volumes/0={"name":"v","configMap":{"name":"m","items":[{"key":"k","path":"..a"}]}} | spec.volumes[0].configMap.items[0].path Invalid !must not start with '..'
Pod | /spec/volumes/0={"name":"v","configMap":{"name":"m","items":[{"key":"k","path":"a","mode":-1}]}} | spec.volumes[0].configMap.items[0].mode Invalid
Pod | /spec/volumes/0={"name":"v","persistentVolumeClaim":{}} | spec.volumes[0].persistentVolumeClaim.claimName Required
Pod | /spec/volumes/0={"name":"v","nfs":{"server":"s","path":"p"}} | spec.volumes[0].nfs.path Invalid !must be an absolute path
Pod | /spec/volumes/0={"name":"v","iscsi":{"targetPortal":"t","iqn":"x","lun":256}} | spec.volumes[0].iscsi.iqn Invalid;; spec.volumes[0].iscsi.lun Invalid
Pod | /spec/volumes/0={"name":"v","glusterfs":{}} | spec.volumes[0].glusterfs.endpoints Required;; spec.volumes[0].glusterfs.path Required
Pod | /spec/volumes/0={"name":"v","rbd":{}} | spec.volumes[0].rbd.monitors Required;; spec.volumes[0].rbd.image Required
Pod | /spec/volumes/0={"name":"v","fc":{}} | spec.volumes[0].fc.targetWWNs Required
Pod | /spec/volumes/0={"name":"v","flocker":{}} | spec.volumes[0].flocker Required
Pod | /spec/volumes/0={"name":"v","gitRepo":{"repository":"r","directory":"/x"}} | spec.volumes[0].gitRepo.directory Invalid
Pod | /spec/volumes/0={"name":"v","gcePersistentDisk":{"pdName":"x","partition":256}} | spec.volumes[0].gcePersistentDisk.partition Invalid
Pod | /spec/volumes/0={"name":"v","awsElasticBlockStore":{}} | spec.volumes[0].awsElasticBlockStore.volumeID Required
Pod | /spec/volumes/0={"name":"v","cinder":{}} | spec.volumes[0].cinder.volumeID Required
Pod | /spec/volumes/0={"name":"v","cephfs":{}} | spec.volumes[0].cephfs.monitors Required
Pod | /spec/volumes/0={"name":"v","quobyte":{}} | spec.volumes[0].quobyte.volume Required;; spec.volumes[0].quobyte.registry Required
Pod | /spec/volumes/0={"name":"v","flexVolume":{}} | spec.volumes[0].flexVolume.driver Required
Pod | /spec/volumes/0={"name":"v","azureFile":{}} | spec.volumes[0].azureFile.secretName Required;; spec.volumes[0].azureFile.shareName Required
Pod | /spec/volumes/0={"name":"v","azureDisk":{}} | spec.volumes[0].azureDisk.diskName Required;; spec.volumes[0].azureDisk.diskURI Required
Pod | /spec/volumes/0={"name":"v","vsphereVolume":{}} | spec.volumes[0].vsphereVolume.volumePath Required
Pod | /spec/volumes/0={"name":"v","photonPersistentDisk":{}} | spec.volumes[0].photonPersistentDisk.pdID Required
Pod | /spec/volumes/0={"name":"v","portworxVolume":{}} | spec.volumes[0].portworxVolume.volumeID Required
Pod | /spec/volumes/0={"name":"v","scaleIO":{}} | spec.volumes[0].scaleIO.gateway Required;; spec.volumes[0].scaleIO.system Required;; spec.volumes[0].scaleIO.volumeName Required
Pod | /spec/volumes/0={"name":"v","storageos":{}} | spec.volumes[0].storageos.volumeName Required
Pod | /spec/volumes/0={"name":"v","csi":{}} | spec.volumes[0].csi.driver Required
Pod | /spec/volumes/0={"name":"v","csi":{"driver":"d","nodePublishSecretRef":{}}} | spec.volumes[0].csi.nodePublishSecretRef.name Required
Pod | /spec/volumes/0={"name":"v","ephemeral":{}} | spec.volumes[0].ephemeral.volumeClaimTemplate Required
Pod | /spec/volumes/0={"name":"v","downwardAPI":{"items":[{"path":"a"}]}} | spec.volumes[0].downwardAPI Required !one of fieldRef and resourceFieldRef
Pod | /spec/volumes/0={"name":"v","downwardAPI":{"items":[{"path":"a","fieldRef":{"fieldPath":"spec.nodeName"}}]}} | spec.volumes[0].downwardAPI.fieldRef.fieldPath NotSupported
Pod | /spec/volumes/0={"name":"v","downwardAPI":{"items":[{"path":"a","resourceFieldRef":{"resource":"limits.cpu"}}]}} | spec.volumes[0].downwardAPI.resourceFieldRef.containerName Required
Pod | /spec/volumes/0={"name":"v","projected":{"sources":[{"secret":{"name":"s"},"configMap":{"name":"m"}}]}} | spec.volumes[0].projected.sources[0] Forbidden !more than 1 volume type per source
Pod | /spec/volumes/0={"name":"v","projected":{"sources":[{"secret":{"name":"s","items":[{"key":"k","path":"p"}]}},{"configMap":{"name":"m","items":[{"key":"k","path":"p"}]}}]}} | spec.volumes[0].projected Invalid !conflicting duplicate paths
Pod | /spec/volumes/0={"name":"v","projected":{"sources":[{"serviceAccountToken":{"path":"p","expirationSeconds":1}}]}} | spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds Invalid !less than 10 minutes
)";

const char* const kPlacementRules = R"(
Pod | /spec/affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[]}}} | spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms Required !must have at least one node selector term
Pod | /spec/affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"In"}]}]}}} | spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values Required
Pod | /spec/affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a b","operator":"Odd"}]}]}}} | spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator Invalid;; spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key Invalid
Pod | /spec/affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"Gt","values":["1","2"]}]}]}}} | spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values Required
Pod | /spec/affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchFields":[{"key":"metadata.uid","operator":"In","values":["a"]}]}]}}} | spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key Invalid
Pod | /spec/affinity={"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":0,"preference":{}}]}} | spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight Invalid !must be in the range 1-100
Pod | /spec/affinity={"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"labelSelector":{}}]}} | spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey Required;; spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey Invalid;; spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey Invalid
Pod | /spec/affinity={"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"z","namespaces":["A"],"labelSelector":{"matchExpressions":[{"key":"a","operator":"Exists","values":["x"]}]}}]}} | spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].values Forbidden;; spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace Invalid
Pod | /spec/affinity={"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":101,"podAffinityTerm":{"topologyKey":"z"}}]}} | spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight Invalid
Pod | /spec/affinity={"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"z","matchLabelKeys":["a"]}]}} | spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys Forbidden
Pod | /spec/topologySpreadConstraints=[{"maxSkew":0,"topologyKey":"z","whenUnsatisfiable":"DoNotSchedule"}] | spec.topologySpreadConstraints[0].maxSkew Invalid !must be greater than zero
Pod | /spec/topologySpreadConstraints=[{"maxSkew":1,"whenUnsatisfiable":"DoNotSchedule"}] | spec.topologySpreadConstraints[0].topologyKey Required !can not be empty
Pod | /spec/topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"z"}] | spec.topologySpreadConstraints[0].whenUnsatisfiable NotSupported !supported values: "DoNotSchedule", "ScheduleAnyway"
Pod | /spec/topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway"},{"maxSkew":2,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway"}] | spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable} Duplicate
Pod | /spec/topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway","minDomains":0}] | spec.topologySpreadConstraints[0].minDomains Invalid;; spec.topologySpreadConstraints[0].minDomains Invalid
Pod | /spec/topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway","nodeTaintsPolicy":"x"}] | spec.topologySpreadConstraints[0].nodeTaintsPolicy NotSupported
Pod | /spec/topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway","matchLabelKeys":["a"],"labelSelector":{"matchLabels":{"a":"b"}}}] | spec.topologySpreadConstraints[0].matchLabelKeys[0] Invalid !exists in both
)";

const char* const kPodUpdates = R"(
Pod | | |
Pod | | /spec/containers/0/image="other" |
Pod | | /spec/activeDeadlineSeconds=10 |
Pod | | /spec/tolerations/-={"key":"a","operator":"Exists"} |
Pod | | /spec/tolerations=[] | spec.tolerations Forbidden !existing toleration can not be modified
Pod | /spec/activeDeadlineSeconds=10 | /spec/activeDeadlineSeconds=11 | spec.activeDeadlineSeconds Invalid !must be less than or equal to previous value
Pod | /spec/activeDeadlineSeconds=10 | /spec/activeDeadlineSeconds=null | spec.activeDeadlineSeconds Invalid !must not update from a positive integer to nil value
Pod | | /spec/nodeName="x" | spec Forbidden !pod updates may not change fields other than `spec.containers[*].image`
Pod | | /spec/containers/0/env=[{"name":"A","value":"b"}] | spec Forbidden
Pod | | /spec/containers/-={"name":"b","image":"i","imagePullPolicy":"Always","terminationMessagePolicy":"File"} | spec.containers Forbidden !pod updates may not add or remove containers
Pod | | /spec/terminationGracePeriodSeconds=1 | spec Forbidden
Pod | /spec/terminationGracePeriodSeconds=-1 | /spec/terminationGracePeriodSeconds=1 |
Pod | | /spec/schedulingGates=[{"name":"a"}] | spec.schedulingGates[0].name Forbidden !only deletion is allowed
Pod | /spec/schedulingGates=[{"name":"a"}] | /spec/schedulingGates=[] |
Pod | /spec/schedulingGates=[{"name":"a"}] | /spec/nodeSelector={"a":"b"} |
Pod | /spec/schedulingGates=[{"name":"a"}] ;; /spec/nodeSelector={"a":"b"} | /spec/nodeSelector={"a":"c"} | spec.nodeSelector Invalid !only additions to spec.nodeSelector
)";

const char* const kWorkloadRules = R"(
Deployment | |
Deployment | /spec/replicas=-1 | spec.replicas Invalid !Invalid value: -1: must be greater than or equal to 0
Deployment | /spec/selector=null | spec.selector Required
Deployment | /spec/selector={} | spec.selector Invalid !empty selector is invalid for deployment
Deployment | /spec/selector/matchLabels={"a":"c"} | spec.template.metadata.labels Invalid !`selector` does not match template `labels`
Deployment | /spec/selector={"matchExpressions":[{"key":"a","operator":"NotIn","values":["b"]}]} | spec.template.metadata.labels Invalid
Deployment | /spec/template/metadata/annotations={"a b":""} | spec.template.annotations Invalid
Deployment | /spec/template/spec/containers/0/image="" | spec.template.spec.containers[0].image Required
Deployment | /spec/template/spec/restartPolicy="Never" | spec.template.spec.restartPolicy NotSupported !supported values: "Always"
Deployment | /spec/template/spec/activeDeadlineSeconds=5 | spec.template.spec.activeDeadlineSeconds Forbidden
Deployment | /spec/template/spec/containers/0/image=" x" |
Deployment | /spec/strategy={"type":"Odd"} | spec.strategy.type NotSupported !supported values: "Recreate", "RollingUpdate"
Deployment | /spec/strategy={"type":"Recreate","rollingUpdate":{}} | spec.strategy.rollingUpdate Forbidden
Deployment | /spec/strategy={"rollingUpdate":{"maxSurge":0,"maxUnavailable":0}} | spec.strategy.rollingUpdate.maxUnavailable Invalid !may not be 0 when `maxSurge` is 0
Deployment | /spec/strategy={"rollingUpdate":{"maxSurge":0,"maxUnavailable":"0%"}} | spec.strategy.rollingUpdate.maxUnavailable Invalid
Deployment | /spec/strategy={"rollingUpdate":{"maxSurge":1,"maxUnavailable":"101%"}} | spec.strategy.rollingUpdate.maxUnavailable Invalid !must not be greater than 100%
Deployment | /spec/strategy={"rollingUpdate":{"maxSurge":"x","maxUnavailable":1}} | spec.strategy.rollingUpdate.maxSurge Invalid !a valid percent string
Deployment | /spec/strategy={"rollingUpdate":{"maxSurge":-1,"maxUnavailable":1}} | spec.strategy.rollingUpdate.maxSurge Invalid
Deployment | /spec/minReadySeconds=-1 | spec.minReadySeconds Invalid
Deployment | /spec/revisionHistoryLimit=-1 | spec.revisionHistoryLimit Invalid
Deployment | /spec/minReadySeconds=600 | spec.progressDeadlineSeconds Invalid !must be greater than minReadySeconds
Deployment | | /spec/selector/matchLabels={"a":"b","c":"d"} ;; /spec/template/metadata/labels={"a":"b","c":"d"} | spec.selector Invalid !field is immutable
Deployment | | /spec/replicas=5 |
ReplicaSet | |
ReplicaSet | /spec/selector=null | spec.selector Required
ReplicaSet | /spec/replicas=-1 | spec.replicas Invalid
ReplicaSet | /spec/selector/matchLabels={"a":"c"} | spec.template.metadata.labels Invalid
ReplicaSet | | /spec/selector/matchLabels={"a":"b","c":"d"} ;; /spec/template/metadata/labels={"a":"b","c":"d"} | spec.selector Invalid
ControllerRevision | |
ControllerRevision | /data=null | data Required !data is mandatory
ControllerRevision | /revision=-1 | revision Invalid
ControllerRevision | | /data={"a":1} | data Invalid !field is immutable
)";

const char* const kNetworkRules = R"(
Service | |
Service | /spec/ports=[] | spec.ports Required
Service | /spec/type="Odd" | spec.type NotSupported !supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"
Service | /spec/ports/0/port=0 | spec.ports[0].port Invalid;; spec.ports[0].targetPort Invalid
Service | /spec/ports/0/protocol="X" | spec.ports[0].protocol NotSupported
Service | /spec/ports/0/targetPort="-" | spec.ports[0].targetPort Invalid !at least one letter;; spec.ports[0].targetPort Invalid !begin or end
Service | /spec/ports/-={"port":81} | spec.ports[0].name Required;; spec.ports[1].name Required
Service | /spec/ports=[{"name":"a","port":1},{"name":"a","port":2}] | spec.ports[1].name Duplicate
Service | /spec/ports=[{"name":"a","port":1},{"name":"b","port":1}] | spec.ports[1] Duplicate
Service | /spec/ports/0/nodePort=30000 | spec.ports[0].nodePort Forbidden !may not be used when `type` is 'ClusterIP'
Service | /spec/ports/0/appProtocol="a b" | spec.ports[0].appProtocol Invalid
Service | /spec/selector={"a":"-"} | spec.selector Invalid
Service | /spec/sessionAffinity="Maybe" | spec.sessionAffinity NotSupported !supported values: "ClientIP", "None"
Service | /spec/sessionAffinity="ClientIP" ;; /spec/sessionAffinityConfig={"clientIP":{"timeoutSeconds":86401}} | spec.sessionAffinityConfig.clientIP.timeoutSeconds Invalid !must be greater than 0 and less than 86400
Service | /spec/sessionAffinity="ClientIP" ;; /spec/sessionAffinityConfig={} | spec.sessionAffinityConfig.clientIP Required
Service | /spec/clusterIPs=["x"] | spec.clusterIPs[0] Invalid !must be a valid IP address
Service | /spec/clusterIP="None" ;; /spec/clusterIPs=["None"] ;; /spec/type="NodePort" | spec.clusterIPs[0] Invalid !may not be set to 'None' for NodePort services
Service | /spec/clusterIP="None" ;; /spec/clusterIPs=["None"] ;; /spec/ports=null |
Service | /spec/ipFamilies=["IPv5"] | spec.ipFamilies[0] NotSupported
Service | /spec/ipFamilies=["IPv4","IPv4"] | spec.ipFamilies[1] Duplicate
Service | /spec/ipFamilyPolicy="x" | spec.ipFamilyPolicy NotSupported
Service | /spec/externalIPs=["x"] | spec.externalIPs[0] Invalid
Service | /spec/externalIPs=["127.0.0.1"] | spec.externalIPs[0] Invalid !may not be in the loopback range
Service | /spec/externalIPs=["10.1.1.1"] |
Service | /spec/externalTrafficPolicy="Local" | spec.externalTrafficPolicy Invalid !may only be set for externally-accessible services
Service | /spec/type="NodePort" ;; /spec/externalTrafficPolicy="x" | spec.externalTrafficPolicy NotSupported
Service | /spec/internalTrafficPolicy="x" | spec.internalTrafficPolicy NotSupported
Service | /spec/trafficDistribution="x" | spec.trafficDistribution NotSupported
Service | /spec/healthCheckNodePort=1 | spec.healthCheckNodePort Invalid
Service | /spec/allocateLoadBalancerNodePorts=true | spec.allocateLoadBalancerNodePorts Forbidden
Service | /spec/loadBalancerClass="x.io/y" | spec.loadBalancerClass Forbidden
Service | /spec/type="LoadBalancer" ;; /spec/loadBalancerSourceRanges=["x"] | spec.LoadBalancerSourceRanges[0] Invalid
Service | /spec={"type":"ExternalName"} | spec.externalName Required
Service | /spec={"type":"ExternalName","externalName":"A_"} | spec.externalName Invalid
Service | /spec={"type":"ExternalName","externalName":"a.b."} |
Service | /spec={"type":"ExternalName","externalName":"a.b","clusterIPs":["10.96.0.1"]} | spec.clusterIPs Forbidden
Service | | /spec/clusterIP="10.96.0.10" ;; /spec/clusterIPs=["10.96.0.10"] | spec.clusterIPs[0] Invalid !may not change once set
Service | | /spec/ipFamilies=["IPv6"] | spec.ipFamilies[0] Invalid !may not change once set
Endpoints | |
Endpoints | /subsets=[{}] | subsets[0] Required !must specify `addresses` or `notReadyAddresses`
Endpoints | /subsets/0/addresses/0/ip="x" | subsets[0].addresses[0].ip Invalid
Endpoints | /subsets/0/addresses/0/ip="169.254.1.1" | subsets[0].addresses[0].ip Invalid !link-local range
Endpoints | /subsets/0/addresses/0/hostname="A" | subsets[0].addresses[0].hostname Invalid
Endpoints | /subsets/0/addresses/0/nodeName="A" | subsets[0].addresses[0].nodeName Invalid
Endpoints | /subsets/0/ports/0/port=0 | subsets[0].ports[0].port Invalid
Endpoints | /subsets/0/ports/0/protocol="x" | subsets[0].ports[0].protocol NotSupported
Endpoints | /subsets/0/ports/-={"port":1,"name":"a"} | subsets[0].ports[0].name Required
EndpointSlice | |
EndpointSlice | /addressType="" | addressType Required
EndpointSlice | /addressType="IP" | addressType NotSupported !supported values: "FQDN", "IPv4", "IPv6"
EndpointSlice | /endpoints/0/addresses=[] | endpoints[0].addresses Required !must contain at least 1 address
EndpointSlice | /endpoints/0/addresses=["::1"] | endpoints[0].addresses[0] Invalid !must be a valid IPv4 address;; endpoints[0].addresses[0] Invalid
EndpointSlice | /endpoints/0/hostname="A" | endpoints[0].hostname Invalid
EndpointSlice | /endpoints/0/hints={"forZones":[{"name":"a"},{"name":"a"}]} | endpoints[0].hints.forZones[1].name Duplicate
EndpointSlice | /ports/0/protocol="x" | ports[0].protocol NotSupported
EndpointSlice | /ports/-={"port":81} | ports[1].name Duplicate
EndpointSlice | /ports/0/port=70000 | ports[0].port Invalid
EndpointSlice | | /addressType="IPv6" ;; /endpoints=[] | addressType Invalid !field is immutable
)";

const char* const kOtherRules = R"(
ConfigMap | |
ConfigMap | /data={"a b":""} | data[a b] Invalid !a valid config key must consist of
ConfigMap | /data={"..a":""} | data[..a] Invalid !must not start with '..'
ConfigMap | /binaryData={"k":"dg=="} | data[k] Invalid !duplicate of key present in binaryData
ConfigMap | /binaryData={"a/b":"dg=="} | binaryData[a/b] Invalid
ConfigMap | /immutable=true | /immutable=false | immutable Forbidden !field is immutable when `immutable` is set
ConfigMap | /immutable=true | /data/k="w" | data Forbidden
ConfigMap | /immutable=true | /metadata/labels={"a":"b"} |
Secret | |
Secret | /data={"a b":""} | data[a b] Invalid
Secret | /type="kubernetes.io/tls" | data[tls.crt] Required;; data[tls.key] Required
Secret | /type="kubernetes.io/basic-auth" | data[username] Required;; data[password] Required
Secret | /type="kubernetes.io/ssh-auth" | data[ssh-privatekey] Required
Secret | /type="kubernetes.io/dockercfg" | data[.dockercfg] Required
Secret | /type="kubernetes.io/dockerconfigjson" ;; /data={".dockerconfigjson":"eA=="} | data[.dockerconfigjson] Invalid !<secret contents redacted>
Secret | /type="kubernetes.io/service-account-token" | metadata.annotations[kubernetes.io/service-account.name] Required
Secret | | /type="x" | type Invalid !field is immutable
Secret | /immutable=true | /data={} | data Forbidden
Node | |
Node | /spec/taints=[{"key":"a b","effect":"NoSchedule"}] | metadata.taints[0].key Invalid
Node | /spec/taints=[{"key":"a","value":"-","effect":"NoSchedule"}] | metadata.taints[0].value Invalid
Node | /spec/taints=[{"key":"a"}] | metadata.taints[0].effect Required
Node | /spec/taints=[{"key":"a","effect":"Odd"}] | metadata.taints[0].effect NotSupported
Node | /spec/taints=[{"key":"a","effect":"NoSchedule"},{"key":"a","effect":"NoSchedule"}] | metadata.taints[1] Duplicate !taints must be unique by key and effect pair
Node | /spec/podCIDR="x" | spec.podCIDRs[0] Invalid !must be a valid CIDR value
Node | /spec/podCIDRs=["10.0.0.0/24","10.0.1.0/24"] | spec.podCIDRs Invalid !no more than one CIDR for each IP family
Node | /status/capacity={"cpu":"-1"} | status.capacity.cpu Invalid
Node | /spec/podCIDR="10.0.0.0/24" | /spec/podCIDR="10.0.1.0/24" ;; /spec/podCIDRs=null | spec.podCIDRs Forbidden !node updates may not change podCIDR except from "" to valid
Node | | /spec/podCIDR="10.0.1.0/24" |
Node | /spec/providerID="a" | /spec/providerID="b" | spec.providerID Forbidden
Node | | /spec/taints=[{"key":"a","effect":"x"}] | metadata.taints[0].effect NotSupported
Namespace | |
Namespace | /spec={"finalizers":["bad"]} | spec.finalizers Invalid !neither a standard finalizer name
Namespace | /spec={"finalizers":["x.io/ok"]} |
Lease | |
Lease | /spec/leaseDurationSeconds=0 | spec.leaseDurationSeconds Invalid !must be greater than 0
Lease | /spec/leaseTransitions=-1 | spec.leaseTransitions Invalid
Lease | /spec/strategy="x" | spec.strategy.strategy NotSupported
Lease | /spec/preferredHolder="x" | spec.preferredHolder Forbidden
Event | |
Event | /involvedObject/namespace="x" | involvedObject.namespace Invalid !does not match event.namespace
Event | /involvedObject/namespace="" | involvedObject.namespace Invalid
NewEvent | |
NewEvent | /eventTime=null | eventTime Required
NewEvent | /type="Odd" | type Invalid !has invalid value: Odd
NewEvent | /reportingController="" | reportingController Required;; reportingController Invalid;; reportingController Invalid
NewEvent | /reportingInstance="" | reportingInstance Required
NewEvent | /action="" | action Required
NewEvent | /reason="" | reason Required
NewEvent | /deprecatedCount=1 | count Invalid !needs to be unset
NewEvent | /deprecatedSource={"component":"x"} | source Invalid
NewEvent | /series={"count":1,"lastObservedTime":"2026-01-01T00:00:00.000000Z"} | series.count Invalid !should be at least 2
NewEvent | | /reason="s" | reason Invalid !field is immutable
NewEvent | | /note="s" | message Invalid !field is immutable
)";

const char* const kStatusRules = R"(
Deployment | | /status={"replicas":1,"readyReplicas":2} | status.readyReplicas Invalid !cannot be greater than status.replicas
Deployment | | /status={"replicas":-1} | status.replicas Invalid;; status.updatedReplicas Invalid;; status.fullyLabeledReplicas Invalid;; status.readyReplicas Invalid;; status.availableReplicas Invalid
Deployment | /status={"collisionCount":2} | /status={"collisionCount":1} | status.collisionCount Invalid !cannot be decremented
ReplicaSet | | /status={"replicas":2,"availableReplicas":1} | status.availableReplicas Invalid !cannot be greater than readyReplicas
Namespace | | /status={"phase":"Terminating"} | status.Phase Invalid !may only be 'Active'
Service | | /status={"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}} | status.loadBalancer.ingress Forbidden
Service | /spec/type="LoadBalancer" | /status={"loadBalancer":{"ingress":[{"hostname":"1.2.3.4"}]}} | status.loadBalancer.ingress[0].hostname Invalid !must be a DNS name, not an IP address
Service | /spec/type="LoadBalancer" | /status={"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}} |
Pod | | /status/qosClass="Guaranteed" | status.qosClass Invalid !field is immutable
Pod | | /status/podIPs=[{"ip":"x"}] | status.podIPs[0] Invalid
Pod | | /status/conditions=[{"type":"a b"}] | metadata.conditions[0].Type Invalid
Pod | /spec/restartPolicy="Never" ;; /status/containerStatuses=[{"name":"a","state":{"terminated":{"exitCode":1}}}] | /status/containerStatuses=[{"name":"a","state":{"running":{}}}] | status.containerStatuses[0].state Forbidden !may not be transitioned to non-terminated state
Node | | /status/addresses=[{"type":"InternalIP","address":"1.1.1.1"},{"type":"InternalIP","address":"1.1.1.1"}] | status.addresses[1] Duplicate
)";

// --- reading them --------------------------------------------------------------------------------
std::vector<std::string> split_on(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    const std::string_view part = trim(text.substr(0, at));
    if (!part.empty()) parts.emplace_back(part);
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

void assign(json::Value& object, const std::string& pointer, json::Value value) {
  const std::vector<std::string> steps = split(std::string_view(pointer).substr(1), '/');
  json::Value* at = &object;
  for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
    if (at->is_array()) {
      at = &at->as_array().at(static_cast<std::size_t>(*parse_int64(steps[i])));
      continue;
    }
    if (at->find(steps[i]) == nullptr) at->set(steps[i], json::Value::object());
    at = at->find(steps[i]);
  }
  const std::string& last = steps.back();
  if (at->is_array() || last == "-") {
    if (at->is_null()) *at = json::Value::array();
    if (last == "-")
      at->push_back(std::move(value));
    else
      at->as_array().at(static_cast<std::size_t>(*parse_int64(last))) = std::move(value);
  } else if (value.is_null()) {
    at->erase(last);
  } else {
    at->set(last, std::move(value));
  }
}

void change(json::Value& object, const std::string& changes) {
  for (const std::string& one : split_on(changes, ";;")) {
    const std::size_t equals = one.find('=');
    REQUIRE(equals != std::string::npos);
    auto value = json::parse(one.substr(equals + 1));
    if (!value.ok()) FAIL(one << ": " << value.error().message);
    assign(object, one.substr(0, equals), std::move(*value));
  }
}

std::vector<std::string> columns_of(const std::string& line) {
  std::vector<std::string> columns;
  std::size_t start = 0;
  while (true) {
    const std::size_t at = line.find(" |", start);
    columns.emplace_back(trim(line.substr(start, at == std::string::npos ? at : at - start)));
    if (at == std::string::npos) return columns;
    start = at + 2;
  }
}

void check_causes(const std::string& wanted, const Causes& causes) {
  const std::vector<std::string> lines = split_on(wanted, ";;");
  std::string got;
  for (const api::StatusCause& cause : causes)
    got += cause.field + " " + cause.reason + " " + cause.message + "\n";
  INFO("got:\n" << got);
  REQUIRE(lines.size() == causes.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t bang = lines[i].find(" !");
    const std::string head = lines[i].substr(0, bang);
    const std::size_t space = head.rfind(' ');
    CHECK(causes[i].field == head.substr(0, space));
    CHECK(causes[i].reason == "FieldValue" + head.substr(space + 1));
    if (bang != std::string::npos)
      CHECK(causes[i].message.find(lines[i].substr(bang + 2)) != std::string::npos);
  }
}

enum class Verb { kWrite, kStatus };

void run(const char* table, Verb verb) {
  for (const std::string& line : split(table, '\n')) {
    if (trim(line).empty()) continue;
    INFO(line);
    const std::vector<std::string> columns = columns_of(line);
    const Good& good = good_objects().at(columns[0]);
    json::Value object = json::parse(good.object).value();
    const Strategy& strategy = find_strategy(good.group, object.get_string("kind"));
    change(object, columns[1]);
    const bool update = columns.size() == 4;
    const api::schema::Resource* resource =
        api::schema::find_kind(good.group, "v1", object.get_string("kind"));
    REQUIRE(resource != nullptr);
    apply_defaults(*resource, strategy, object);
    const json::Value given = object;
    if (strategy.prepare_create != nullptr) strategy.prepare_create(Context{}, object);
    if (const json::Value* status = given.find("status")) {
      // As a later write would have left it.
      for (const json::Member& member : status->as_object())
        object["status"].set(member.first, member.second);
    }
    Causes causes;
    if (!update) {
      REQUIRE(strategy.validate_create != nullptr);
      strategy.validate_create(Context{}, object, causes);
    } else {
      const json::Value old = object;
      change(object, columns[2]);
      apply_defaults(*resource, strategy, object);
      if (verb == Verb::kStatus)
        strategy.validate_status_update(Context{}, old, object, causes);
      else if (strategy.validate_update != nullptr)
        strategy.validate_update(Context{}, old, object, causes);
    }
    check_causes(columns.back(), causes);
  }
}

}  // namespace

TEST_CASE("rules of pods") { run(kPodRules, Verb::kWrite); }
TEST_CASE("rules of volumes") { run(kVolumeRules, Verb::kWrite); }
TEST_CASE("rules of placement") { run(kPlacementRules, Verb::kWrite); }
TEST_CASE("rules of pod updates") { run(kPodUpdates, Verb::kWrite); }
TEST_CASE("rules of workloads") { run(kWorkloadRules, Verb::kWrite); }
TEST_CASE("rules of services and endpoints") { run(kNetworkRules, Verb::kWrite); }
TEST_CASE("rules of the other kinds") { run(kOtherRules, Verb::kWrite); }
TEST_CASE("rules of status") { run(kStatusRules, Verb::kStatus); }
