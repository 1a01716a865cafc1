internal import Files
internal import Numerics

extension ImageSet {
  /// The samples of the given indices, in their order.
  func selecting(_ indices: [Int]) -> ImageSet {
    let pixels = shape.pixels
    let bytes = ImageBytes(count: indices.count * pixels) { buffer in
      for (row, index) in indices.enumerated() {
        _ = buffer[row * pixels..<(row + 1) * pixels].initialize(
          fromContentsOf: UnsafeBufferPointer(start: images.base + index * pixels, count: pixels))
      }
    }
    return ImageSet(
      shape: shape, images: bytes, labels: indices.map { labels[$0] },
      coarseLabels: coarseLabels.map { coarse in indices.map { coarse[$0] } })
  }

  /// The classes that have a sample, ascending.
  var classesPresent: [Int] {
    var isPresent = [Bool](repeating: false, count: 256)
    for label in labels { isPresent[Int(label)] = true }
    return isPresent.indices.filter { isPresent[$0] }
  }

  /// The first samples of every class that has one, in file order: `count` in all, equally many per class, a remainder by
  /// one for each of the lowest classes; all samples where `count` is nil.
  ///
  /// - Parameter setting: that of the count.
  /// - Throws: `Failure(.usage, …)` where a class has fewer samples.
  func first(_ count: Int?, of data: DataSet, setting: String) throws(Failure) -> ImageSet {
    guard let count else { return self }
    let classes = classesPresent
    var wanted = [Int](repeating: 0, count: data.classes)
    for (place, label) in classes.enumerated() {
      wanted[label] = count / classes.count + (place < count % classes.count ? 1 : 0)
    }
    var taken: [Int] = []
    taken.reserveCapacity(min(count, self.count))
    for (index, label) in labels.enumerated() where wanted[Int(label)] > 0 {
      wanted[Int(label)] -= 1
      taken.append(index)
    }
    if let poor = wanted.firstIndex(where: { $0 > 0 }) {
      let available = labels.count { Int($0) == poor }
      throw Failure(
        .usage,
        "\(setting: setting, count): needs \(available + wanted[poor]) samples of class \(poor) of \(data.name), which has "
          + "\(available); take fewer, or leave it out for all")
    }
    return selecting(taken)
  }

  /// A word about a count that leaves classes without a sample; nil where every class that has samples keeps one.
  func note(_ count: Int?, of data: DataSet, setting: String) -> Message? {
    let classes = classesPresent
    guard let count, count < classes.count, let last = classes.last else { return nil }
    let first = classes[count]
    return
      "\(setting: setting, count) leaves \(first == last ? "class" : "classes \(first) to") \(last) of \(data.name) without a "
      + "sample; \(classes.count) give every class one"
  }

  /// Samples of two sets as one: those of `self`, then those of `other`, each where its map has a class.
  ///
  /// - Parameters:
  ///   - classes: the new class of every class of `self`; nil leaves the samples of a class out.
  ///   - otherClasses: the same for `other`.
  func joined(with other: ImageSet, classes: [UInt8?], otherClasses: [UInt8?]) -> ImageSet {
    precondition(shape == other.shape, "images of one set have one shape")
    let pixels = shape.pixels
    let parts = [(self, classes), (other, otherClasses)].map { set, map in
      (set: set, map: map, indices: set.labels.indices.filter { map[Int(set.labels[$0])] != nil })
    }
    let count = parts.reduce(0) { $0 + $1.indices.count }
    let bytes = ImageBytes(count: count * pixels) { buffer in
      var row = 0
      for part in parts {
        for index in part.indices {
          _ = buffer[row * pixels..<(row + 1) * pixels].initialize(
            fromContentsOf: UnsafeBufferPointer(start: part.set.images.base + index * pixels, count: pixels))
          row += 1
        }
      }
    }
    let labels = parts.flatMap { part in part.indices.compactMap { part.map[Int(part.set.labels[$0])] } }
    return ImageSet(shape: shape, images: bytes, labels: labels)
  }
}
