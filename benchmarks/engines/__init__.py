"""What each contender does with a task: functions that make the work ready and return it."""
