import Files
import Testing
import Training

/// What users of other trainers type is answered with our name.
struct ForeignNameTests {
  @Test(arguments: [
    ("lr", "learning-rate"), ("wd", "weight-decay"), ("bs", "batch-size"), ("batch", "batch-size"),
    ("num_epochs", "epochs"), ("optimizer", "optimiser"), ("optim", "optimiser"), ("scheduler", "schedule"),
    ("lr-scheduler", "schedule"), ("warmup", "warm-up"), ("warmup_steps", "warm-up"),
    ("grad-clip", "clip-norm"),
    ("clip-grad", "clip-norm"), ("max_grad_norm", "clip-norm"), ("early-stopping", "patience"),
    ("num-experts", "experts"), ("topk", "top-k"), ("k", "top-k"), ("output-dir", "run-dir"),
    ("data", "data-dir"),
    ("log-interval", "log-every"), ("save-dir", "run-dir"), ("Save_Dir", "run-dir"),
    ("save_total_limit", "keep"),
  ])
  func isAnsweredWithOurs(theirs: String, ours: String) {
    #expect(settingHint(theirs, isOption: true).text(as: .options) == "; it is '--\(ours)' here")
    #expect(settingHint(theirs, isOption: true).text(as: .settings) == "; it is '\(ours)' here")
    #expect(settingHint(theirs).text(as: .options) == "; it is '\(ours)' here")
  }

  @Test(arguments: ["num-workers", "device", "workers", "fp16", "betas", "warmup-epochs"])
  func withoutACounterpartASentenceSaysWhy(theirs: String) {
    #expect(settingHint(theirs, isOption: true).description.hasPrefix("; it has no counterpart: "))
  }

  @Test func anOptionIsNoKey() {
    #expect(settingHint("resume-from", isOption: true).text(as: .options) == "; it is '--resume' here")
    #expect(
      settingHint("resume").text(as: .options) == "; it is the option '--resume' of the command line")
  }

  @Test func theTableNamesSettingsAndEveryNameOnce() {
    let names = foreignNameList.map(\.name)
    #expect(Set(names).count == names.count)
    for (name, setting) in foreignNameList {
      #expect(name == name.lowercased() && !name.contains("_"))
      if let setting { #expect(ConfigurationSchema.setting(setting) != nil, "\(setting)") }
    }
  }

  /// A slip of the pen is still recognised.
  @Test func othersAreNeighbours() {
    #expect(settingHint("exprts", isOption: true) == "; did you mean 'experts'?")
    #expect(settingHint("zebra", isOption: true) == "")
  }
}
