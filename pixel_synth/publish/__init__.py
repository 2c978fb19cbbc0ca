"""What a run hands to people and trainers: dataset files, card, report."""
