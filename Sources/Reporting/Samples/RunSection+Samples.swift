extension RunSection {
  /// A few images and their ways through the model; empty where the run has recorded none.
  var samples: String {
    let figures = Self.sampleFigures(of: run)
    guard !figures.isEmpty else { return "" }
    let note =
      "Test images, chosen by a fixed rule. Bars are the gate's probabilities; grey experts did nothing. "
      + "The command moe-dist show does the same for any image."
    return section("What happens to an image", note) + grid(figures)
  }

  /// The figures of the images that the run has recorded, if it has as many experts as they say.
  static func sampleFigures(of run: RunRecord) -> [Figure] {
    run.samples.enumerated().filter { $0.element.layers[0].gate.count == run.experts }.map {
      SampleFigure(run: run, sample: $0.element, number: $0.offset + 1).figure
    }
  }
}
