"""Manifests that several flows share."""


def deployment(name, ns, replicas=3, env="", extra_container="", extra_pod="", image="coxswain/e2e:1", readiness=True):
    # Its time-out is long: a machine that is short of processors must not look like pods that are not ready.
    probe = """
        readinessProbe:
          httpGet: {path: /cgi-bin/healthz, port: 8080}
          periodSeconds: 1
          timeoutSeconds: 10
          failureThreshold: 1""" if readiness else ""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {ns}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: {image}
        ports: [{{containerPort: 8080}}, {{containerPort: 9001, protocol: UDP}}]
        env:
        - name: POD_NAME
          valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}{env}{probe}{extra_container}
{extra_pod}"""


def namespace(name):
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


def service(name, ns, kind="ClusterIP", app=None, extra="", node_port=None):
    node = f", nodePort: {node_port}" if node_port else ""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {ns}}}
spec:
  type: {kind}
  selector: {{app: {app or name}}}
  ports:
  - {{name: http, port: 80, targetPort: 8080{node}}}
  - {{name: dns, port: 53, targetPort: 9001, protocol: UDP}}
{extra}"""


def pod(name, ns, body):
    return f"\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {ns}, labels: {{app: {name}}}}}\nspec:\n{body}"
