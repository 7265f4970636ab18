"""The built-in world in a closed loop: agents drive its routes, and are judged as Bench2Drive judges them."""
