"""What the numbers of a model of clips stand beside: names of baselines, and why they are there."""

TRUE, TOKENS = "true clips", "through its tokens"
WHY_TRUE = "held-out clips; for distances as many training clips, and for the judge each prompt's own scene, drawn"
WHY_TOKENS = "true clips as the model's tokenizer gives them back: a model that writes perfectly, the ceiling"
