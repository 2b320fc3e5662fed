"""The configs that come with mdp; `mdp init` copies some of them into a project of the user's own."""
