"""What Ardalani et al. 2022 found beside what a study found."""
