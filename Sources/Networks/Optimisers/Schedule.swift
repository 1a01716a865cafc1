/// How the learning rate changes in the course of a run: a pure function of the step, in double precision, by arithmetic
/// that is the same on every machine.
///
/// Adding one: a file with a conformance, and a case of ``ScheduleKind``.
public protocol Schedule: Sendable {
  /// What the learning rate is multiplied by in a step.
  ///
  /// - Parameter step: counted from 1.
  func factor(step: Int) -> Double
}

/// The schedules that a run can choose by name.
public enum ScheduleKind: String, CaseIterable, Sendable {
  /// ``ConstantSchedule``
  case constant
  /// ``StepSchedule``
  case step
  /// ``CosineSchedule``
  case cosine
}

/// The same learning rate in every step.
public struct ConstantSchedule: Schedule {
  /// The factor 1.
  public init() {}
  public func factor(step: Int) -> Double { 1 }
}
