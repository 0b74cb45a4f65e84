#include "libs/store/mvcc/index.h"

#include <algorithm>
#include <atomic>

namespace coxswain::store {
namespace {
constexpr std::size_t kMaxFanout = 64;
constexpr std::size_t kMergeBelow = kMaxFanout / 4;
constexpr std::size_t kSpare = 8;  // a leaf's room grows by so many: doubling would leave half of it unused
}  // namespace

struct Index::Node {
  std::atomic<std::uint32_t> refs{1};
  bool leaf = true;
  std::int64_t count = 0;         // entries below
  std::vector<EntryPtr> entries;  // leaf: sorted by key
  std::vector<Node*> children;    // branch: one reference each
  std::vector<std::string> lows;  // branch: no key of child i is below lows[i]; lows[0] is unused

  std::size_t size() const { return leaf ? entries.size() : children.size(); }
};

namespace {
using Node = Index::Node;

Node* retain(Node* node) {
  if (node != nullptr) node->refs.fetch_add(1, std::memory_order_relaxed);
  return node;
}

void release(Node* node) {
  if (node == nullptr || node->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (Node* child : node->children) release(child);
  delete node;
}

// Makes *slot ours alone, so that it may be changed in place. The acquire pairs with release() of the
// snapshot that shared it last.
Node* own(Node** slot) {
  Node* node = *slot;
  if (node->refs.load(std::memory_order_acquire) == 1) return node;
  auto* copy = new Node;
  copy->leaf = node->leaf;
  copy->count = node->count;
  copy->entries = node->entries;
  copy->lows = node->lows;
  copy->children = node->children;
  for (Node* child : copy->children) retain(child);
  release(node);
  return *slot = copy;
}

std::size_t leaf_position(const Node& leaf, std::string_view key) {
  const auto it = std::lower_bound(leaf.entries.begin(), leaf.entries.end(), key,
                                   [](const EntryPtr& entry, std::string_view k) { return entry->key < k; });
  return static_cast<std::size_t>(it - leaf.entries.begin());
}

std::size_t child_for(const Node& branch, std::string_view key) {
  const auto it = std::upper_bound(branch.lows.begin() + 1, branch.lows.end(), key,
                                   [](std::string_view k, const std::string& low) { return k < low; });
  return static_cast<std::size_t>(it - branch.lows.begin()) - 1;
}

std::int64_t count_of(const Node& node) {
  if (node.leaf) return static_cast<std::int64_t>(node.entries.size());
  std::int64_t total = 0;
  for (const Node* child : node.children) total += child->count;
  return total;
}

template <typename T>
void move_tail(std::vector<T>* from, std::vector<T>* to, std::size_t at) {
  to->insert(to->end(), std::make_move_iterator(from->begin() + static_cast<std::ptrdiff_t>(at)),
             std::make_move_iterator(from->end()));
  from->resize(at);
}

struct Split {
  Node* right = nullptr;
  std::string low;
};

// An append-only load (start-up, growing names) leaves full nodes behind instead of half-full ones.
Split split_if_full(Node* node, bool grew_at_end) {
  if (node->size() <= kMaxFanout) return {};
  const std::size_t at = grew_at_end ? kMaxFanout - 2 : kMaxFanout / 2;
  auto* right = new Node;
  right->leaf = node->leaf;
  Split split{right, {}};
  if (node->leaf) {
    move_tail(&node->entries, &right->entries, at);
    node->entries.shrink_to_fit();
    split.low = right->entries.front()->key;
  } else {
    move_tail(&node->children, &right->children, at);
    move_tail(&node->lows, &right->lows, at);
    split.low = right->lows.front();
  }
  node->count = count_of(*node);
  right->count = count_of(*right);
  return split;
}

Split insert(Node* node, EntryPtr entry, bool* added) {
  bool at_end = false;
  if (node->leaf) {
    const std::size_t i = leaf_position(*node, entry->key);
    if (i < node->entries.size() && node->entries[i]->key == entry->key) {
      node->entries[i] = std::move(entry);
      return {};
    }
    at_end = i == node->entries.size();
    if (node->entries.size() == node->entries.capacity())
      node->entries.reserve(node->entries.size() + kSpare);
    node->entries.insert(node->entries.begin() + static_cast<std::ptrdiff_t>(i), std::move(entry));
    *added = true;
  } else {
    const std::size_t i = child_for(*node, entry->key);
    Split split = insert(own(&node->children[i]), std::move(entry), added);
    if (split.right != nullptr) {
      at_end = i + 1 == node->children.size();
      const auto next = static_cast<std::ptrdiff_t>(i + 1);
      node->children.insert(node->children.begin() + next, split.right);
      node->lows.insert(node->lows.begin() + next, std::move(split.low));
    }
  }
  node->count += *added ? 1 : 0;
  return split_if_full(node, at_end);
}

// Folds child i + 1 into child i when both fit into one.
void merge_children(Node* branch, std::size_t i) {
  if (branch->children[i]->size() + branch->children[i + 1]->size() > kMaxFanout) return;
  Node* left = own(&branch->children[i]);
  Node* right = own(&branch->children[i + 1]);
  if (!right->leaf) right->lows.front() = branch->lows[i + 1];
  move_tail(&right->entries, &left->entries, 0);
  move_tail(&right->children, &left->children, 0);
  move_tail(&right->lows, &left->lows, 0);
  left->count += right->count;
  release(right);
  const auto gone = static_cast<std::ptrdiff_t>(i + 1);
  branch->children.erase(branch->children.begin() + gone);
  branch->lows.erase(branch->lows.begin() + gone);
}

// The key is known to be there.
void remove(Node* node, std::string_view key) {
  --node->count;
  if (node->leaf) {
    node->entries.erase(node->entries.begin() + static_cast<std::ptrdiff_t>(leaf_position(*node, key)));
    return;
  }
  const std::size_t i = child_for(*node, key);
  Node* child = own(&node->children[i]);
  remove(child, key);
  if (child->size() >= kMergeBelow) return;
  if (i + 1 < node->children.size()) merge_children(node, i);
  if (i > 0) merge_children(node, i - 1);
}

bool visit_from(const Node& node, std::string_view from, const std::function<bool(const EntryPtr&)>& visit) {
  if (node.leaf) {
    for (std::size_t i = from.empty() ? 0 : leaf_position(node, from); i < node.entries.size(); ++i) {
      if (!visit(node.entries[i])) return false;
    }
    return true;
  }
  const std::size_t first = from.empty() ? 0 : child_for(node, from);
  for (std::size_t i = first; i < node.children.size(); ++i) {
    if (!visit_from(*node.children[i], i == first ? from : std::string_view(), visit)) return false;
  }
  return true;
}

}  // namespace

Index::Index(const Index& other) : root_(retain(other.root_)) {}
Index::Index(Index&& other) noexcept : root_(std::exchange(other.root_, nullptr)) {}
Index& Index::operator=(Index other) noexcept {
  std::swap(root_, other.root_);
  return *this;
}
Index::~Index() { release(root_); }

EntryPtr Index::find(std::string_view key) const {
  const Node* node = root_;
  if (node == nullptr) return nullptr;
  while (!node->leaf) node = node->children[child_for(*node, key)];
  const std::size_t i = leaf_position(*node, key);
  return i < node->entries.size() && node->entries[i]->key == key ? node->entries[i] : nullptr;
}

void Index::put(EntryPtr entry) {
  if (root_ == nullptr) root_ = new Node;
  bool added = false;
  Split split = insert(own(&root_), std::move(entry), &added);
  if (split.right == nullptr) return;
  auto* root = new Node;
  root->leaf = false;
  root->count = root_->count + split.right->count;
  root->children = {root_, split.right};
  root->lows = {std::string(), std::move(split.low)};
  root_ = root;
}

bool Index::erase(std::string_view key) {
  if (find(key) == nullptr) return false;
  remove(own(&root_), key);
  while (!root_->leaf && root_->children.size() == 1) {
    Node* only = retain(root_->children.front());
    release(root_);
    root_ = only;
  }
  return true;
}

std::int64_t Index::size() const { return root_ == nullptr ? 0 : root_->count; }

std::int64_t Index::rank(std::string_view key) const {
  const Node* node = root_;
  if (node == nullptr) return 0;
  std::int64_t before = 0;
  while (!node->leaf) {
    const std::size_t i = child_for(*node, key);
    for (std::size_t j = 0; j < i; ++j) before += node->children[j]->count;
    node = node->children[i];
  }
  return before + static_cast<std::int64_t>(leaf_position(*node, key));
}

std::int64_t Index::count_prefix(std::string_view prefix) const {
  const std::string end = prefix_end(prefix);
  return (end.empty() ? size() : rank(end)) - rank(prefix);
}

void Index::scan(std::string_view from, const std::function<bool(const EntryPtr&)>& visit) const {
  if (root_ != nullptr) visit_from(*root_, from, visit);
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace coxswain::store
